//! The outside worlds that steps reach, one file each.
//!
//! | module | what it settles |
//! |---|---|
//! | [`address`] | which addresses belong to the machine itself or its cloud's metadata service; pure |
//! | [`egress`] | where steps may connect, and the only way in which they resolve names and open connections |
//! | [`http`] | HTTP through that guard, bounded in size and time |

pub mod address;
pub mod egress;
pub mod http;
