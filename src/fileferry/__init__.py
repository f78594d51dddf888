"""fileferry mirrors local directories, one way, into the OpenAI Files API.

The architecture in a few lines. Nothing remembers work to do: a pass surveys the disk, notes what differs from the
index, and derives the rest from the index alone.

    watcher, timers, commands -> marks -> survey -> inspect -> place -> upload -> let go -> delete -> audit

    cli, api      what people and programs call
    daemon        the engine: looks, decides, acts, records; and the process around it
    emulator      the bundled OpenAI-compatible server; shares nothing with the client
    plan          pure decisions
    local         the disk, read only
    index         SQLite: one writer, any number of readers
    remote        the API behind one protocol; `remote.openai` alone imports the SDK
    config        TOML and environment to one frozen value
    ignore        .gitignore rules
    model, clock, errors
"""

TYPE_CHECKING = False  # the real one lives in typing, which costs as much as a query
if TYPE_CHECKING:
    from fileferry.api import Index as Index

__all__ = ["Index"]


def __getattr__(name: str) -> object:
    if name == "Index":
        from fileferry.api import Index

        return Index
    raise AttributeError(f"module `fileferry` has no attribute `{name}`")
