//! A configuration that changes while the kernel runs.
//!
//! What is in flight goes on. Bounds that became smaller hold for what starts from now on: a device that
//! has more calls than slots gets none before it has fewer, and a budget that is spent gives nothing.
//! What was learned of devices is kept, and so is what people bounded by hand where the configuration
//! says what it said before.

use std::collections::BTreeSet;

use aosk_abi::{Change, Error, ErrorCode, Fact};

use crate::budget::ROOT;
use crate::config::Config;
use crate::device::Device;
use crate::index::Index;
use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;

impl Kernel {
    /// What the kernel is told of its surroundings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Offers a configuration, which the next [`Command::Reconfigure`](aosk_abi::Command::Reconfigure)
    /// puts in force. Tools, and how windows are kept, stay as they are.
    pub fn offer(&mut self, config: Config) {
        self.offered = Some(Box::new(config));
    }

    /// Puts the configuration in force that was offered, or nothing of it.
    pub(crate) fn reconfigure(
        &mut self,
        cx: &mut Ctx<'_>,
        changes: &[Change],
    ) -> Result<(), Error> {
        let refused = |what: String| {
            Error::new(ErrorCode::ConfigInvalid, format!("changing the configuration: {what}"))
        };
        let Some(offered) = self.offered.take() else {
            return Err(refused("none was offered".to_owned()));
        };
        let gone = self.config.models.keys().find(|name| !offered.models.contains_key(*name));
        if let Some(gone) = gone {
            let what = format!("it has no {gone} any more, which calls may be waiting for");
            return Err(refused(what).hint("a restart does without it"));
        }
        let before = self.take_over(*offered);
        self.renew_devices();
        self.rebound(cx, &before);
        self.set_rates(cx);
        for id in (0..self.devices.iter().count()).collect::<Vec<_>>() {
            let name = self.devices.get(id).map(|device| device.name.clone());
            // One that has a node only now holds what is in flight.
            if let Some(node) = name.and_then(|name| self.budgets.device(&name)) {
                self.budgets.release_only(node);
            }
            self.look_again(cx.now, id);
        }
        for pid in self.processes.ids() {
            self.begin_slice(cx.now, pid);
        }
        let policy = self.config.policy.name();
        if before.policy.name() != policy {
            cx.node_fact(Fact::PolicySet { policy: policy.to_owned() });
        }
        cx.node_fact(Fact::Reconfigured { changes: changes.to_vec() });
        Ok(())
    }

    /// Takes over what may change, and returns what was in force.
    fn take_over(&mut self, offered: Config) -> Config {
        let before = self.config.clone();
        let Config { policy, models, routes, groups, tool_slots, slice, limits, .. } = offered;
        let config = &mut self.config;
        (config.policy, config.slice, config.limits) = (policy, slice, limits);
        (config.models, config.routes, config.groups) = (models, routes, groups);
        config.tool_slots = tool_slots;
        before
    }

    /// Makes the devices and all queues anew. What has more slots than there are now keeps them until
    /// its calls end.
    fn renew_devices(&mut self) {
        let in_use: Vec<(String, u32)> = self
            .devices
            .iter()
            .map(|(id, device)| (device.name.clone(), self.index.slots_in_use(id)))
            .collect();
        self.devices = self.devices.renewed(&self.config);
        for (name, in_use) in in_use {
            if let Some(device) = self.devices.find(&name).and_then(|id| self.devices.get_mut(id)) {
                device.lent = in_use;
            }
        }
        self.tools_lent = self.index.tool_slots_in_use();
        if broken!(self, SlotsStay) {
            self.devices.forget_slots();
        }
        // Numbers of devices and queues are others now.
        self.index = Index::default();
        self.index = self.index_from_nothing();
        // Whoever waits for room may now have a device, or another one.
        let nodes: Vec<_> = self.budgets.iter().map(|(id, _)| id).collect();
        nodes.into_iter().for_each(|id| self.budgets.release_only(id));
    }

    /// Bounds what the configuration bounds otherwise than before.
    fn rebound(&mut self, cx: &Ctx<'_>, before: &Config) {
        let limits = self.config.limits;
        if before.limits != limits {
            self.bound(cx, ROOT, &limits);
        }
        let named: BTreeSet<String> =
            before.groups.keys().chain(self.config.groups.keys()).cloned().collect();
        for name in named {
            let was = before.groups.get(&name).copied().unwrap_or_default();
            let is = self.config.groups.get(&name).copied().unwrap_or_default();
            let Some(id) = self.budgets.group(&name).filter(|_| was != is) else { continue };
            if let Some(group) = self.budgets.get_mut(id).and_then(|node| node.group.as_mut()) {
                group.priority = is.priority.min(100);
            }
            if was.limits != is.limits {
                self.bound(cx, id, &is.limits);
            }
        }
    }

    /// Slots that are in use beyond those there are go as calls end, and do not come back.
    pub(crate) fn take_back_slots(&mut self) {
        self.tools_lent = self.tools_lent.min(self.index.tool_slots_in_use());
        for id in 0..self.devices.iter().count() {
            let in_use = self.index.slots_in_use(id);
            let has_lent = |device: &&mut Device| device.lent > device.slots;
            if let Some(device) = self.devices.get_mut(id).filter(has_lent) {
                device.lent = device.lent.min(in_use);
            }
        }
    }
}
