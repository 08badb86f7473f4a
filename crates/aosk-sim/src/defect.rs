//! Known ways to break what runs, to test the checkers: the kernel's own mutants, and those of the
//! loop around it. A run has at most one; what ships has none of the loop's.

use std::fmt;

use aosk_kernel::Mutant;

/// One deliberate defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The kernel is broken.
    Kernel(Mutant),
    /// The loop around it is.
    Shell(ShellMutant),
}

/// One deliberate defect of the loop around the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShellMutant {
    /// What waits for a commit leaves when the batch is handed over.
    ReleasedAtHandOver,
    /// What was decided while a commit was in flight leaves with that commit.
    ReleasedWithAnother,
    /// What was decided while a commit was in flight is not in the next one.
    HeldBackForgotten,
    /// A store that has failed does not end the kernel.
    FailureIgnored,
    /// A batch in flight is kept in part when the kernel dies.
    BatchTorn,
    /// A shutdown does not wait for calls in flight.
    CallsNotAwaited,
    /// Calls leave although the time for a shutdown is over.
    CutOffIgnored,
}

impl ShellMutant {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::ReleasedAtHandOver,
        Self::ReleasedWithAnother,
        Self::HeldBackForgotten,
        Self::FailureIgnored,
        Self::BatchTorn,
        Self::CallsNotAwaited,
        Self::CutOffIgnored,
    ];
}

impl Defect {
    /// Every defect.
    pub fn all() -> impl Iterator<Item = Self> {
        let kernel = Mutant::ALL.iter().copied().map(Self::Kernel);
        kernel.chain(ShellMutant::ALL.iter().copied().map(Self::Shell))
    }

    /// What is broken in the kernel.
    #[must_use]
    pub fn of_kernel(self) -> Option<Mutant> {
        match self {
            Self::Kernel(mutant) => Some(mutant),
            Self::Shell(_) => None,
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(mutant) => write!(f, "{mutant:?}"),
            Self::Shell(mutant) => write!(f, "{mutant:?}"),
        }
    }
}
