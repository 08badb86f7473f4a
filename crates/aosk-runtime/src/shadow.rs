//! A check in debug builds: after every flush, the rows of the kernel are what the flushes so far
//! add up to, and a kernel restored from them has the same rows. In release builds it does nothing.

use aosk_abi::RowChange;
use aosk_kernel::Kernel;

#[cfg(debug_assertions)]
use std::collections::BTreeMap;

#[cfg(debug_assertions)]
use aosk_abi::{Image, RowKey, RowOp};

/// What the store must hold.
#[derive(Debug)]
pub(crate) struct Shadow {
    #[cfg(debug_assertions)]
    rows: BTreeMap<RowKey, String>,
    #[cfg(debug_assertions)]
    config: aosk_kernel::Config,
}

/// Rows up to which every flush is checked. The check costs time for each of them.
#[cfg(debug_assertions)]
const ROWS_MAX: usize = 20_000;

#[cfg(not(debug_assertions))]
impl Shadow {
    pub(crate) fn new(_rows: &[(aosk_abi::RowKey, String)], _config: &aosk_kernel::Config) -> Self {
        Self {}
    }

    pub(crate) fn reconfigured(&mut self, _config: &aosk_kernel::Config) {}

    pub(crate) fn check(&mut self, _kernel: &Kernel, _changes: &[RowChange]) {}
}

#[cfg(debug_assertions)]
impl Shadow {
    pub(crate) fn new(rows: &[(RowKey, String)], config: &aosk_kernel::Config) -> Self {
        Self { rows: rows.iter().cloned().collect(), config: config.clone() }
    }

    /// The kernel was told this anew.
    pub(crate) fn reconfigured(&mut self, config: &aosk_kernel::Config) {
        self.config = config.clone();
    }

    /// Panics if a change of the kernel was not written.
    #[expect(clippy::panic, reason = "a kernel whose rows are wrong must not go on")]
    pub(crate) fn check(&mut self, kernel: &Kernel, changes: &[RowChange]) {
        for change in changes {
            match &change.op {
                RowOp::Put(text) => {
                    self.rows.insert(change.key, text.clone());
                }
                RowOp::Delete => {
                    self.rows.remove(&change.key);
                }
                RowOp::Archive => {
                    let gone = change.key.pid();
                    self.rows.retain(|key, _| key.pid().is_none() || key.pid() != gone);
                }
            }
        }
        if self.rows.len() > ROWS_MAX {
            return;
        }
        let expected: Vec<_> = self.rows.iter().map(|(key, text)| (*key, text.clone())).collect();
        let rows = kernel.rows();
        if let Some((is, must)) = rows.iter().zip(&expected).find(|(is, must)| is != must) {
            panic!("a row was not written: the kernel has {is:?}, the store {must:?}");
        }
        if rows.len() != expected.len() {
            panic!(
                "rows were not written: the kernel has {}, the store {}",
                rows.len(),
                expected.len()
            );
        }
        let image = Image { rows: expected, ..Image::default() };
        match Kernel::restore(self.config.clone(), &image) {
            Ok(restored) if restored.rows() == rows => {}
            Ok(_) => panic!("a kernel restored from its rows has other rows"),
            Err(error) => panic!("a kernel does not come back from its rows: {error}"),
        }
        if let Err(violation) = kernel.check() {
            panic!("{violation}");
        }
    }
}
