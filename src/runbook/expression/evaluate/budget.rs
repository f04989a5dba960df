//! What one evaluation may cost.

use super::operand::Failure;

/// Most steps of one evaluation: operators, calls, members, and the elements that macros and comparisons look at.
pub(super) const STEPS: usize = 100_000;

/// Most bytes of text, list and map that one evaluation may produce.
pub(super) const BYTES: usize = 1024 * 1024;

/// What an element of a list or a map counts for besides its text, in bytes.
pub(super) const ELEMENT: usize = 16;

/// How deep lists and maps may nest in one another where they were built.
pub(super) const DEEPEST: usize = 100;

/// Bytes of text that are read at the cost of one step.
const BYTES_A_STEP: usize = 512;

#[derive(Debug)]
pub(super) struct Budget {
    steps: usize,
    bytes: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            steps: STEPS,
            bytes: BYTES,
        }
    }

    /// Accounts for steps.
    pub(super) fn step(&mut self, count: usize) -> Result<(), Failure> {
        let left = self.steps.checked_sub(count);
        self.steps =
            left.ok_or_else(|| Failure::Exhausted(format!("this takes more than {STEPS} steps: filter or split its lists first")))?;
        Ok(())
    }

    /// Accounts for reading a text of this many bytes.
    pub(super) fn read(&mut self, bytes: usize) -> Result<(), Failure> {
        self.step(bytes / BYTES_A_STEP)
    }

    /// Accounts for producing this many bytes.
    pub(super) fn produce(&mut self, bytes: usize) -> Result<(), Failure> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or_else(|| Failure::Exhausted(format!("this produces more than {BYTES} bytes of text")))?;
        Ok(())
    }

    /// Accounts for producing so many elements of lists or maps.
    pub(super) fn produce_elements(&mut self, count: usize) -> Result<(), Failure> {
        self.produce(count.saturating_mul(ELEMENT))
    }
}
