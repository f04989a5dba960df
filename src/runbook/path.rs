//! Places in a state document: `.a.b`, `."a.b".c`, `.*.url`.
