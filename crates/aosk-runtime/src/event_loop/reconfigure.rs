//! What the kernel is told anew of its surroundings while it runs.

use aosk_abi::{Command, Input, Reply};
use tokio::sync::oneshot;

use crate::surroundings::Surroundings;

use super::relay::reply_to;
use super::{End, EventLoop, Settled};

impl EventLoop {
    /// Tells the kernel, and has the devices know what it knows. Calls in flight go on with what they
    /// began with.
    pub(super) fn reconfigure(
        &mut self,
        told: Surroundings,
        reply: oneshot::Sender<Reply>,
    ) -> Result<(), End> {
        let config = told.config(self.kernel.config());
        let Surroundings { models, routes, changes, .. } = told;
        let request = self.request_id();
        self.replies.insert(request, reply);
        self.kernel.offer(config.clone());
        if !self.has_more() {
            self.turns.begin_batch();
        }
        let command = Command::Reconfigure { changes };
        self.apply_one(&Input::Operator { request, command })?;
        let said = self.fx.releases.iter().rev().find_map(|one| reply_to(one, request));
        if matches!(said, Some(Reply::Done)) {
            // Before anything is asked of them: calls leave after the commit.
            self.devices.know(models.clone(), routes);
            self.told = Some(Settled { config, models });
        }
        self.go_on()
    }
}
