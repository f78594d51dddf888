"""Pure decisions: values in, values out; no disk, no network, no clock."""
