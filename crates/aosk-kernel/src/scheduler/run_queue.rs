//! Those that are ready for one model, by level.
//!
//! Under a policy with levels, a tenant or group stands in the queue of the one above it as long as
//! anybody below it is ready, and its processes stand in its own. Under any other, all stand in one.
//! To find who is first takes a step a level, and to come and go a logarithm of those beside it.

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{BudgetId, Pid};

use super::Rank;

/// Who stands in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Group(BudgetId),
    Process(Pid),
}

/// One queue.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct RunQueue {
    levels: BTreeMap<BudgetId, BTreeSet<(Rank, Member)>>,
}

/// The way down to a process: the nodes it stands under, from its own up to the root, each with its
/// rank among those beside it. The root has none beside it.
pub(crate) type Way = Vec<(BudgetId, Rank)>;

/// Where the first of a queue stands, level by level from the highest: what tells who is first of several
/// queues. Two in the same group stand alike as far down as that, and differ below it.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(Vec<(Rank, Member)>);

impl RunQueue {
    /// Puts a process where its way leads.
    pub(crate) fn insert(&mut self, pid: Pid, rank: Rank, way: &[(BudgetId, Rank)]) {
        let mut member = (rank, Member::Process(pid));
        for (node, rank) in way {
            let level = self.levels.entry(*node).or_default();
            let was_empty = level.is_empty();
            level.insert(member);
            if !was_empty {
                return;
            }
            member = (*rank, Member::Group(*node));
        }
    }

    /// Takes it out again; rank and way are those with which it was put in.
    pub(crate) fn remove(&mut self, pid: Pid, rank: Rank, way: &[(BudgetId, Rank)]) {
        let mut member = (rank, Member::Process(pid));
        for (node, rank) in way {
            let Some(level) = self.levels.get_mut(node) else {
                return;
            };
            level.remove(&member);
            if !level.is_empty() {
                return;
            }
            self.levels.remove(node);
            member = (*rank, Member::Group(*node));
        }
    }

    /// Moves a node to another rank, if it stands in the queue of its parent.
    pub(crate) fn rerank(&mut self, node: BudgetId, parent: BudgetId, from: Rank, to: Rank) {
        if let Some(level) = self.levels.get_mut(&parent)
            && level.remove(&(from, Member::Group(node)))
        {
            level.insert((to, Member::Group(node)));
        }
    }

    /// Who is first, and where it stands.
    pub(crate) fn first(&self, root: BudgetId) -> Option<(Position, Pid)> {
        let mut node = root;
        let mut position = Position::default();
        loop {
            let (rank, member) = *self.levels.get(&node)?.first()?;
            position.0.push((rank, member));
            match member {
                Member::Process(pid) => return Some((position, pid)),
                Member::Group(below) => node = below,
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: BudgetId = BudgetId(1);

    fn way(groups: &[(u64, u64)]) -> Way {
        let mut way: Way =
            groups.iter().map(|(id, rank)| (BudgetId(*id), Rank(*rank, *id))).collect();
        way.push((ROOT, Rank(0, 0)));
        way
    }

    fn first(queue: &RunQueue) -> Option<u64> {
        queue.first(ROOT).map(|(_, pid)| pid.0)
    }

    #[test]
    fn the_group_that_is_behind_goes_first_whoever_is_in_it() {
        let mut queue = RunQueue::default();
        queue.insert(Pid(1), Rank(1, 0), &way(&[(2, 50)]));
        queue.insert(Pid(2), Rank(900, 0), &way(&[(3, 40)]));
        queue.insert(Pid(3), Rank(800, 0), &way(&[(3, 40)]));
        assert_eq!(first(&queue), Some(3));
        queue.rerank(BudgetId(3), ROOT, Rank(40, 3), Rank(60, 3));
        assert_eq!(first(&queue), Some(1));
    }

    #[test]
    fn whoever_leaves_takes_with_it_what_nobody_is_under() {
        let mut queue = RunQueue::default();
        let deep = way(&[(4, 7), (2, 5)]);
        queue.insert(Pid(1), Rank(1, 0), &deep);
        queue.insert(Pid(2), Rank(2, 0), &deep);
        queue.remove(Pid(1), Rank(1, 0), &deep);
        assert_eq!(first(&queue), Some(2));
        queue.remove(Pid(2), Rank(2, 0), &deep);
        assert!(queue.is_empty());
        assert_eq!(first(&queue), None);
    }

    #[test]
    fn of_two_queues_the_one_goes_first_whose_first_is_before_the_other_at_the_level_where_they_part()
     {
        let (mut one, mut other) = (RunQueue::default(), RunQueue::default());
        one.insert(Pid(1), Rank(90, 0), &way(&[(2, 50)]));
        other.insert(Pid(2), Rank(900, 0), &way(&[(3, 40), (2, 50)]));
        assert!(other.first(ROOT) < one.first(ROOT), "its group is behind the process");
        other.insert(Pid(3), Rank(10, 0), &way(&[(4, 60)]));
        assert!(other.first(ROOT) < one.first(ROOT), "the group of both is before another");
    }

    #[test]
    fn processes_stand_beside_groups() {
        let mut queue = RunQueue::default();
        queue.insert(Pid(1), Rank(10, 0), &way(&[]));
        queue.insert(Pid(2), Rank(0, 0), &way(&[(2, 20)]));
        assert_eq!(first(&queue), Some(1));
    }
}
