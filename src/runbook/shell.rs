//! `${...}` inside a command, quoted for the place it stands in.
