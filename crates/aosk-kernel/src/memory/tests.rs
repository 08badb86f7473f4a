//! Tests of memory: what holds of the page table, of plans, and of the table of needs.

mod lifetime;
mod plans;
mod space;
mod table;

use aosk_abi::{MessageIndex, TEXT_END, Timestamp, Tokens};

use super::{
    AddressSpace, ArenaId, BlockId, CacheRules, GroupId, Memo, NeedTable, NewPage, PageId,
    PageKind, Plan, Prefer, Replacement, Residency, Situation,
};

/// Tokens of a stub.
const STUB: u32 = 20;

/// A page of some kind in a block, and a group, of its own.
fn page(kind: PageKind, tokens: u32, block: u32) -> NewPage {
    NewPage {
        kind,
        tokens,
        group: GroupId(block),
        block: BlockId(block),
        arena: ArenaId(0),
        source: MessageIndex(block),
        part: 0,
        end: TEXT_END,
        importance: 500,
        pinned: false,
    }
}

/// A page table with instructions of 100 tokens and pages of these sizes.
fn space(sizes: &[u32]) -> AddressSpace {
    let mut space = AddressSpace::new(STUB);
    space.append(page(PageKind::System, 100, 0));
    for (tokens, block) in sizes.iter().zip(1..) {
        space.append(page(PageKind::ToolResult, *tokens, block));
    }
    space
}

/// What is rendered: page, pages it stands for if it is a stub, tokens.
fn shown(space: &AddressSpace) -> Vec<(u32, u32, u32)> {
    space.shown().map(|one| (one.id.0, one.page.extent, one.tokens)).collect()
}

fn ids(pages: &[u32]) -> Vec<PageId> {
    pages.iter().copied().map(PageId).collect()
}

/// A process that is called again and again.
struct Scene<'a> {
    policy: &'a dyn Replacement,
    window: u64,
    rules: &'static CacheRules,
    prefer: Prefer,
    table: NeedTable,
    memo: Memo,
    space: AddressSpace,
    now: u64,
}

impl<'a> Scene<'a> {
    fn new(policy: &'a dyn Replacement, window: u64, rules: &'static CacheRules) -> Self {
        Self {
            policy,
            window,
            rules,
            prefer: Prefer::Cost,
            table: NeedTable::seeded().clone(),
            memo: Memo::default(),
            space: space(&[]),
            now: 0,
        }
    }

    fn plan(&mut self) -> Plan {
        let situation = Situation {
            space: &self.space,
            window: Tokens(self.window),
            rules: self.rules,
            needs: &self.table,
            prefer: self.prefer,
            now: Timestamp(self.now),
        };
        self.policy.plan(&situation, &mut self.memo)
    }

    /// Plans a call and makes it.
    fn call(&mut self) -> Plan {
        let plan = self.plan();
        self.space.apply(&plan);
        if let Some(range) = plan.summarise {
            self.space.summarise(range, 50, None);
        }
        self.memo.sent(&self.space, &plan.breakpoints, Timestamp(self.now));
        self.space.sent();
        self.now += 15_000;
        plan
    }
}

/// Whether the kind and residency of a page are these.
fn is_at(space: &AddressSpace, id: u32, residency: Residency) -> bool {
    space.page(PageId(id)).is_some_and(|page| page.residency == residency)
}
