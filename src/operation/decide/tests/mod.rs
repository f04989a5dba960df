#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod cancel;
mod foreach;
mod generate;
mod limits;
mod notifications;
mod order;
mod outcome;
mod property;
mod retries;
mod rollback;
mod secrets;
mod simulation;
mod takeover;
