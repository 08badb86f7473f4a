//! Known ways to break the kernel. With the feature `misbehave` one of them can be switched on; the
//! simulator must then find a violation. Without the feature none can be, and the compiler leaves out
//! what would depend on it.

/// One deliberate defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A cancelled call keeps its slot for ever.
    SlotLeak,
    /// One call more than the slots is started.
    SlotOversubscribed,
    /// A reservation is not given back when a call fails.
    ReservationLeak,
    /// A call is started without asking the budget.
    BudgetUnchecked,
    /// Only the nearest budget node is asked and charged.
    BudgetAncestorsSkipped,
    /// A child gets the capabilities it asks for instead of those its parent may give.
    CapabilityAmplified,
    /// A process exits and leaves its children running.
    OrphanLeft,
    /// A late answer of an earlier attempt is taken.
    LateAnswerTaken,
    /// A duplicate answer is charged again.
    DuplicateCharged,
    /// A process row is not written when only its state changed.
    RowNotWritten,
    /// A message is delivered but stays in the mailbox.
    MailDeliveredTwice,
    /// After a crash a tool that is not idempotent is called again in silence.
    ToolCalledAgain,
    /// After a crash a model call in flight is forgotten.
    ModelCallForgotten,
    /// Tool results enter the log in the order in which they came.
    ResultsOutOfOrder,
    /// A stopped process is run.
    StoppedRuns,
    /// A wait for a child misses a child that has already ended.
    ZombieMissed,
    /// A process that waits for a budget is not woken when room is made.
    QuotaWakeLost,
    /// A retry ignores how long the provider asked to be left alone.
    RetryAfterIgnored,
    /// The deadline of a hanging tool is forgotten.
    ToolDeadlineLost,
    /// The least urgent goes first.
    PriorityIgnored,
    /// A process that waits for one sender gets a message of another.
    MailFilterIgnored,
    /// A tool is called that is riskier than its process may call.
    RiskUnchecked,
    /// A device that fails again and again is not left alone.
    CircuitStaysClosed,
    /// A process that does not obey TERM is not killed.
    GraceForgotten,
    /// A process that was stopped is not run after CONT.
    ContForgotten,
    /// What a device used beyond its reservation is not charged.
    OveruseForgiven,
    /// A page is written without its body.
    BodyNotStored,
    /// After a crash a call is asked again under the number of the attempt in flight.
    AttemptReused,
    /// A child is more urgent than its parent.
    UrgencyAmplified,
    /// Calls are made although the kernel is being stopped.
    DrainIgnored,
    /// The calls of a turn are all made at once.
    TurnUnordered,
    /// The row of a message is not written again when pages of it leave the window.
    RowNotRewritten,
    /// A call is made although what must stay does not fit the window.
    WindowOverrun,
    /// The model is not shown stubs.
    StubForgotten,
    /// What was brought back is shown in its old place.
    PrefixReordered,
    /// What is shown is said to be as in the last call, all of it.
    PrefixOverstated,
    /// The window is cut as often as a provider refuses it.
    ShrunkTwice,
    /// Pages leave the window and nobody is told.
    CutUntold,
    /// A page is said to be pinned and is not.
    PinForgotten,
    /// A task is said to have ended and is open still.
    TaskNotEnded,
    /// After a crash nothing is known of the tasks that were open.
    TasksForgotten,
    /// The summary that a model made is not stored.
    SummaryNotStored,
    /// What a call was expected to take is left in place of what it took.
    ShareUncorrected,
    /// The clock of a level does not follow those that are served.
    ClockStandsStill,
    /// Who slept has a claim on all that it missed.
    CreditUnbounded,
    /// All groups have the same share.
    GroupWeightIgnored,
    /// What was used in a minute, an hour or a day counts for days.
    WindowNeverExpires,
    /// It counts for half a minute less than it should.
    WindowExpiresEarly,
    /// Calls go out although the rate of their device has no room.
    RateUncounted,
    /// A slot that was given up for one process goes to whoever is first.
    PromiseIgnored,
    /// What was written of an answer is forgotten when its call gives up the slot.
    BegunDropped,
    /// A call that gives up its slot is charged twice.
    YieldChargedTwice,
    /// A route leads to its first device, whatever that is like.
    RouteSticks,
    /// A route leads to the first device that is free, whatever its rule says.
    RouteByList,
    /// Nothing is known of what devices have in their caches.
    PrefixForgotten,
    /// A call whose route has it wait for a better device goes to any that is free.
    RouteImpatient,
    /// A call that somebody outside asked is begun anew although they were told a part of its answer, or
    /// the kernel died meanwhile.
    RelayBegunAnew,
    /// A device that is to have fewer slots goes on with more.
    SlotsStay,
    /// A device that refuses is asked on.
    PatienceIgnored,
    /// A call is cut off as often as somebody more urgent comes.
    PreemptionsUnbounded,
    /// A call is cut off for whoever is not less urgent.
    MarginIgnored,
    /// Raised bounds wake nobody.
    RaiseUnheard,
    /// Those who wait for room in a budget are let go in the order in which they came.
    WaitersByArrival,
    /// One tool call more than the slots is started.
    ToolSlotOversubscribed,
}

impl Mutant {
    /// Every mutant.
    pub const ALL: &'static [Self] = &[
        Self::SlotLeak,
        Self::SlotOversubscribed,
        Self::ReservationLeak,
        Self::BudgetUnchecked,
        Self::BudgetAncestorsSkipped,
        Self::CapabilityAmplified,
        Self::OrphanLeft,
        Self::LateAnswerTaken,
        Self::DuplicateCharged,
        Self::RowNotWritten,
        Self::MailDeliveredTwice,
        Self::ToolCalledAgain,
        Self::ModelCallForgotten,
        Self::ResultsOutOfOrder,
        Self::StoppedRuns,
        Self::ZombieMissed,
        Self::QuotaWakeLost,
        Self::RetryAfterIgnored,
        Self::ToolDeadlineLost,
        Self::PriorityIgnored,
        Self::MailFilterIgnored,
        Self::RiskUnchecked,
        Self::CircuitStaysClosed,
        Self::GraceForgotten,
        Self::ContForgotten,
        Self::OveruseForgiven,
        Self::BodyNotStored,
        Self::AttemptReused,
        Self::UrgencyAmplified,
        Self::DrainIgnored,
        Self::TurnUnordered,
        Self::RowNotRewritten,
        Self::WindowOverrun,
        Self::StubForgotten,
        Self::PrefixReordered,
        Self::PrefixOverstated,
        Self::ShrunkTwice,
        Self::CutUntold,
        Self::PinForgotten,
        Self::TaskNotEnded,
        Self::TasksForgotten,
        Self::SummaryNotStored,
        Self::ShareUncorrected,
        Self::ClockStandsStill,
        Self::CreditUnbounded,
        Self::GroupWeightIgnored,
        Self::WindowNeverExpires,
        Self::WindowExpiresEarly,
        Self::RateUncounted,
        Self::PromiseIgnored,
        Self::BegunDropped,
        Self::YieldChargedTwice,
        Self::RouteSticks,
        Self::RouteByList,
        Self::PrefixForgotten,
        Self::RouteImpatient,
        Self::RelayBegunAnew,
        Self::SlotsStay,
        Self::PatienceIgnored,
        Self::PreemptionsUnbounded,
        Self::MarginIgnored,
        Self::RaiseUnheard,
        Self::WaitersByArrival,
        Self::ToolSlotOversubscribed,
    ];
}

/// The deliberate defect of one kernel, if it has one.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Broken {
    #[cfg(feature = "misbehave")]
    pub(crate) mutant: Option<Mutant>,
}

impl Broken {
    /// Whether this is the defect. Always false without the feature, and then the compiler leaves
    /// out what depends on it.
    pub(crate) fn is(self, mutant: Mutant) -> bool {
        #[cfg(feature = "misbehave")]
        {
            self.mutant == Some(mutant)
        }
        #[cfg(not(feature = "misbehave"))]
        {
            let _ = mutant;
            false
        }
    }
}

/// Whether the kernel, or the part of it, is broken in the way named.
macro_rules! broken {
    ($part:expr, $mutant:ident) => {
        $part.broken.is(crate::mutant::Mutant::$mutant)
    };
}
pub(crate) use broken;
