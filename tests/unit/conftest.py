"""What the tests of the index share."""

from index_fixtures import scene, story

__all__ = ["scene", "story"]
