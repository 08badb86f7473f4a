//! Tasks of the process that makes the calls: begun, and ended with a result that stands for them.

use aosk_abi::{ArenaId, Body, Error, ErrorCode, Fact, Pid, Wake, limits};

use crate::kernel::{Ctx, Kernel};
use crate::mutant::broken;

impl Kernel {
    /// Begins a task within the one that is open.
    pub(crate) fn begin_task(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        goal: &Body,
    ) -> Result<(), Error> {
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        let within = process.memory.space().arenas().innermost();
        let log = process.page_count();
        let Some(task) = process.memory.begin_task(log) else {
            let most = limits::TASK_DEPTH_MAX;
            let what = format!("beginning a task of {pid}: {most} are open within one another");
            return Err(Error::new(ErrorCode::MemoryTask, what).hint("end the innermost first"));
        };
        cx.fx.bodies.push(goal.clone());
        cx.fact(pid, Fact::TaskBegun { task, within, goal: goal.hash() });
        self.wake(cx, pid, Wake::TaskBegun { task });
        Ok(())
    }

    /// Ends the task that was begun last.
    pub(crate) fn end_task(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        result: &Body,
    ) -> Result<(), Error> {
        let refused = |what: &str, hint: &str| {
            let text = format!("ending a task of {pid}: {what}");
            Err(Error::new(ErrorCode::MemoryTask, text).hint(hint))
        };
        let stays_open = broken!(self, TaskNotEnded);
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        if process.memory.space().arenas().innermost() == ArenaId::NONE {
            return refused("none is open", "begin one first");
        }
        if result.message().text().trim().is_empty() {
            return refused("its result is empty", "say what came of it: that is all that stays");
        }
        let mut unended = stays_open.then(|| process.memory.clone());
        let memory = unended.as_mut().unwrap_or(&mut process.memory);
        let Some(ended) = memory.end_task() else {
            return Ok(());
        };
        cx.fx.bodies.push(result.clone());
        cx.fact(
            pid,
            Fact::TaskEnded {
                task: ended.arena,
                result: result.hash(),
                pages: ended.count,
                tokens: ended.tokens,
            },
        );
        self.wake(cx, pid, Wake::TaskEnded { task: ended.arena, pages: ended.pages });
        Ok(())
    }
}
