//! What can be done to the processes of a store on which no kernel runs.

use aosk_abi::{BudgetId, Command, Effects, Error, Input, Limits, Release, Reply, RequestId};
use aosk_kernel::{Config, Kernel};
use aosk_store::{Batch, Store};

use crate::clock::Clock;

/// Bounds a node of the budget tree anew. Nothing is started: a process that waits for room there looks
/// again when a kernel runs.
///
/// # Errors
/// If there is no such node, or the store cannot be read or written.
pub fn set_limits(store: &mut dyn Store, budget: BudgetId, limits: Limits) -> Result<(), Error> {
    let mut kernel = Kernel::restore(Config::default(), &store.load()?)?;
    let (now, mut fx) = (Clock::start().now(), Effects::default());
    // There is nobody to carry out what a kernel would start.
    kernel.apply(now, &Input::Drain, &mut fx);
    let command = Command::SetLimits { budget, limits: Box::new(limits) };
    kernel.apply(now, &Input::Operator { request: RequestId(0), command }, &mut fx);
    kernel.flush(&mut fx);
    let refused = fx.releases.iter().find_map(|release| match release {
        Release::Reply { reply: Reply::Refused(error), .. } => Some(error.clone()),
        Release::Reply { .. }
        | Release::Think { .. }
        | Release::Tool(_)
        | Release::Yield { .. }
        | Release::Cancel { .. } => None,
    });
    if let Some(error) = refused {
        return Err(error);
    }
    store.commit(&[Batch { rows: fx.rows, journal: fx.journal, bodies: fx.bodies }])?;
    Ok(())
}
