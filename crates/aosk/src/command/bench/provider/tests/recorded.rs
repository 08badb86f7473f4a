//! Usage of prefix caching that Anthropic's API counted, from public recordings of whole requests: where
//! breakpoints stood and what was counted. Texts are not taken over, only how long they are.

/// The requests of a client to one API key, in order.
pub(super) struct Recording {
    /// Repository, path and commit.
    pub(super) source: &'static str,
    /// The characters of each block that was ever sent; blocks are named by their place here.
    pub(super) characters: &'static [u64],
    pub(super) calls: &'static [Call],
}

/// One request and the usage of its answer.
#[derive(Debug)]
pub(super) struct Call {
    /// When, in seconds since the first.
    pub(super) second: f64,
    /// Which conversation it continues.
    pub(super) conversation: usize,
    /// Its blocks, as ranges with both ends.
    pub(super) blocks: &'static [(usize, usize)],
    /// The last block of tools and instructions.
    pub(super) fixed: usize,
    /// Blocks that have a breakpoint. None ever stands behind the last one without one.
    pub(super) marks: &'static [usize],
    /// `input_tokens`: what stands behind the last breakpoint, or all if nothing is cached.
    pub(super) uncached: u64,
    /// `cache_creation_input_tokens`.
    pub(super) written: u64,
    /// `cache_read_input_tokens`.
    pub(super) read: u64,
}

impl Call {
    /// Tokens up to the last breakpoint.
    pub(super) fn marked(&self) -> u64 {
        match self.read + self.written {
            0 => self.uncached,
            cached => cached,
        }
    }
}

pub(super) const RECORDINGS: [Recording; 3] = [
    // A coding agent, claude-sonnet-4: a conversation; its compaction, which has other tools and other
    // instructions; and a new conversation with the tools, the instructions and the first block (19) of
    // the old one, of which only what ends at a breakpoint (18) is read.
    Recording {
        source: "badlogic/lemmy, apps/claude-trace/test/test-traffic.jsonl, bb5d89d",
        characters: &TRAFFIC,
        calls: &[
            call(0.0, 0, &[(0, 22)], 18, &[17, 18, 22], (4, 15_032, 0)),
            call(4.5, 0, &[(0, 25)], 18, &[17, 18, 24, 25], (6, 304, 15_032)),
            call(6.8, 0, &[(0, 27)], 18, &[17, 18, 26, 27], (5, 216, 15_336)),
            call(10.2, 0, &[(0, 29)], 18, &[17, 18, 28, 29], (6, 119, 15_552)),
            call(13.1, 0, &[(0, 31)], 18, &[17, 18, 30, 31], (4, 280, 15_671)),
            call(52.2, 0, &[(0, 33)], 18, &[17, 18, 32, 33], (4, 2_467, 15_951)),
            call(56.3, 0, &[(0, 35)], 18, &[17, 18, 34, 35], (3, 275, 18_418)),
            call(82.3, 0, &[(0, 38)], 18, &[17, 18, 36, 38], (0, 173, 18_693)),
            call(84.8, 0, &[(0, 40)], 18, &[17, 18, 39, 40], (2, 229, 18_866)),
            call(100.4, 0, &[(0, 42)], 18, &[17, 18, 41, 42], (2, 2_014, 19_095)),
            call(124.1, 0, &[(0, 44)], 18, &[17, 18, 43, 44], (2, 2_849, 21_109)),
            call(135.5, 0, &[(0, 46)], 18, &[17, 18, 45, 46], (2, 916, 23_958)),
            call(139.8, 0, &[(0, 48)], 18, &[17, 18, 47, 48], (1, 231, 24_874)),
            call(
                147.7,
                1,
                &[(5, 5), (17, 17), (49, 49), (20, 48), (50, 51)],
                49,
                &[17, 49, 50, 51],
                (3, 12_072, 0),
            ),
            call(182.0, 2, &[(0, 19), (52, 60)], 18, &[17, 18, 60], (4, 8_284, 13_515)),
            call(185.7, 2, &[(0, 19), (52, 62)], 18, &[17, 18, 61, 62], (8, 122, 21_799)),
            call(194.9, 2, &[(0, 19), (52, 64)], 18, &[17, 18, 63, 64], (4, 15, 21_921)),
        ],
    },
    // A few tools, claude-sonnet-4-5, with the breakpoint that the API itself sets behind the last
    // block. What is too short is not cached. When it was sent is not told; the calls follow at once.
    Recording {
        source: "pydantic/pydantic-ai, tests/cassettes/test_tool_search/\
                 test_anthropic_to_google_deferred_capability_history_replay.yaml, 4fda389",
        characters: &[320, 254, 75, 152, 60, 132, 115, 218, 115, 165, 128, 171],
        calls: &[
            call(0.0, 0, &[(0, 4)], 3, &[4], (819, 0, 0)),
            call(3.0, 0, &[(0, 9)], 3, &[9], (7, 1_069, 0)),
            call(6.0, 0, &[(0, 11)], 3, &[11], (6, 85, 1_069)),
        ],
    },
    // Questions about a book, claude-3-5-sonnet; how long the answers took is told.
    Recording {
        source: "anthropics/claude-cookbooks, misc/prompt_caching.ipynb, 7297c5d",
        characters: &[737_000, 32, 63, 28, 1_200, 26, 1_200, 38],
        calls: &[
            call(0.0, 0, &[(0, 1)], 0, &[0, 1], (4, 187_354, 0)),
            call(20.4, 0, &[(0, 3)], 0, &[0, 3], (4, 36, 187_354)),
            call(27.9, 0, &[(0, 5)], 0, &[0, 5], (4, 308, 187_390)),
            call(34.7, 0, &[(0, 7)], 0, &[0, 7], (4, 301, 187_698)),
        ],
    },
];

const fn call(
    second: f64,
    conversation: usize,
    blocks: &'static [(usize, usize)],
    fixed: usize,
    marks: &'static [usize],
    (uncached, written, read): (u64, u64, u64),
) -> Call {
    Call { second, conversation, blocks, fixed, marks, uncached, written, read }
}

/// Tools to 16, instructions to 18 and at 49, then messages.
const TRAFFIC: [u64; 65] = [
    2_402, 9_690, 1_101, 1_169, 667, 2_073, 1_162, 3_274, 891, 614, 1_408, 1_285, 1_286, 9_423,
    985, 316, 610, 57, 14_038, 4_688, 103, 360, 108, 135, 225, 657, 64, 379, 129, 0, 231, 663,
    8_795, 99, 229, 661, 495, 53, 104, 147, 587, 3_600, 2_714, 5_930, 4_664, 2_531, 1_058, 149,
    589, 69, 275, 4_170, 4_978, 132, 12_540, 105, 4_100, 204, 129, 46, 60, 149, 0, 23, 3,
];
