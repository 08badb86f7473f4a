//! What a model is shown of the kernel calls.

use aosk_abi::limits::{NAME_BYTES_MAX, RECALL_MAX};
use aosk_abi::tool::ToolSpec;
use serde_json::{Value, json};

use super::SEARCH_MEMORY;
use crate::limits::WAIT_SECONDS_MAX;

/// Every kernel call, in the order of a life.
pub(super) fn all() -> Vec<ToolSpec> {
    vec![
        spawn_agent(),
        wait_agent(),
        send_message(),
        receive_message(),
        sleep(),
        recall(),
        search_memory(),
        pin(),
        unpin(),
        forget(),
        begin_task(),
        end_task(),
        finish(),
    ]
}

fn spec(name: &str, description: &str, properties: Value, required: &[&str]) -> ToolSpec {
    let mut parameters = json!({
        "type": "object",
        "required": required,
        "additionalProperties": false
    });
    if let Some(object) = parameters.as_object_mut() {
        object.insert("properties".into(), properties);
    }
    ToolSpec { name: name.into(), description: description.into(), parameters }
}

fn recall() -> ToolSpec {
    spec(
        "recall",
        "Brings back parts of this conversation that were left out to save room. Lines such as \
         [page 12 and 3 more left out: ...] name them by number.",
        json!({
            "pages": {
                "type": "array",
                "items": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
                "minItems": 1,
                "maxItems": RECALL_MAX,
                "description": "Their numbers."
            }
        }),
        &["pages"],
    )
}

fn search_memory() -> ToolSpec {
    spec(
        SEARCH_MEMORY,
        "Searches all of this conversation, also what was left out of it, and tells the pages that \
         fit best with their beginnings. Get a whole page with recall.",
        json!({
            "query": {
                "type": "string",
                "minLength": 1,
                "maxLength": 4096,
                "description": "What to look for: words, names, paths, a question."
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 32,
                "description": "Pages to tell of at most. Default: 8."
            }
        }),
        &["query"],
    )
}

fn of_one_page(name: &str, description: &str) -> ToolSpec {
    let page = json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX });
    spec(name, description, json!({ "page": page }), &["page"])
}

fn pin() -> ToolSpec {
    of_one_page("pin", "Keeps a page of this conversation from being left out.")
}

fn unpin() -> ToolSpec {
    of_one_page("unpin", "Lets a pinned page be left out again when room is needed.")
}

fn forget() -> ToolSpec {
    of_one_page("forget", "Takes a page out of this conversation for good, to save room.")
}

fn begin_task() -> ToolSpec {
    spec(
        "begin_task",
        "Begins a part of your work that takes many steps and of which only the result matters \
         afterwards, such as finding something out. Tasks may stand within one another. Close it \
         with end_task.",
        json!({
            "goal": { "type": "string", "minLength": 1, "description": "What is to be done." }
        }),
        &["goal"],
    )
}

fn end_task() -> ToolSpec {
    spec(
        "end_task",
        "Ends the task that you began last. What was said in it is left out of this conversation \
         from then on, and only the result stays; recall and search_memory still find the rest.",
        json!({
            "result": {
                "type": "string",
                "minLength": 1,
                "description": "All of it that you will need: findings, names, paths, decisions."
            }
        }),
        &["result"],
    )
}

fn spawn_agent() -> ToolSpec {
    spec(
        "spawn_agent",
        "Starts another agent as your child and returns its process id, such as p7. Use it for \
         work that can be done apart from yours or at the same time. The child sees nothing of \
         your conversation: its task must say everything it needs. It never may do more than you. \
         Get its result with wait_agent, or set wait.",
        json!({
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": NAME_BYTES_MAX / 4,
                "description": "A short name, such as `reviewer`."
            },
            "task": {
                "type": "string",
                "minLength": 1,
                "description": "What it is to do, and what its result must contain."
            },
            "system": {
                "type": "string",
                "minLength": 1,
                "description": "Standing instructions in place of the usual ones."
            },
            "tools": {
                "type": "array",
                "items": { "type": "string", "minLength": 1, "maxLength": 64 },
                "maxItems": 128,
                "description": "The tools it may call. Default: yours."
            },
            "priority": {
                "type": "integer",
                "minimum": 0,
                "maximum": 100,
                "description": "0 is most urgent. Default: yours."
            },
            "model": {
                "type": "string",
                "minLength": 1,
                "maxLength": NAME_BYTES_MAX,
                "description": "The model it thinks with. Default: yours."
            },
            "budget_tokens": {
                "type": "integer",
                "minimum": 1,
                "description": "The most tokens it may use. Never more than you have left."
            },
            "budget_usd": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 1_000_000,
                "description": "The most US dollars it may cost. Never more than you have left."
            },
            "fork": {
                "type": "boolean",
                "description": "It begins with all of this conversation, so its task can be short. \
                                It then has your instructions and tools. Default false."
            },
            "wait": {
                "type": "boolean",
                "description": "Return only when it has ended, with its result. Default false."
            }
        }),
        &["name", "task"],
    )
}

fn wait_agent() -> ToolSpec {
    spec(
        "wait_agent",
        "Waits until a child of yours has ended and returns how it ended and its result. Each \
         child can be waited for once.",
        json!({
            "pid": {
                "type": "string",
                "pattern": "^p?[0-9]+$",
                "description": "The child's process id, such as p7. Default: whichever ends first."
            },
            "timeout_s": timeout()
        }),
        &[],
    )
}

fn send_message() -> ToolSpec {
    spec(
        "send_message",
        "Puts a message into another agent's mailbox and returns at once. You may write to your \
         parent, your children and your siblings. The other agent sees it when it calls \
         receive_message.",
        json!({
            "to": address("The receiver: its process id, such as p7, or its name."),
            "text": { "type": "string", "minLength": 1, "description": "The message." }
        }),
        &["to", "text"],
    )
}

fn receive_message() -> ToolSpec {
    spec(
        "receive_message",
        "Returns the next message in your mailbox and who sent it, and takes it out; waits if \
         there is none.",
        json!({
            "from": address("Only messages of this agent: its process id or its name."),
            "timeout_s": timeout()
        }),
        &[],
    )
}

fn sleep() -> ToolSpec {
    spec(
        "sleep",
        "Does nothing for a while. Use it to wait for something outside; to wait for a child or a \
         message use wait_agent or receive_message.",
        json!({
            "seconds": {
                "type": "number",
                "minimum": 0,
                "maximum": WAIT_SECONDS_MAX,
                "description": "How long."
            }
        }),
        &["seconds"],
    )
}

fn finish() -> ToolSpec {
    spec(
        "finish",
        "Ends your work. Call it once, when the task is done or cannot be done; nothing you call \
         after it happens.",
        json!({
            "result": {
                "type": "string",
                "description": "What you were asked for, complete: the reader sees nothing else."
            }
        }),
        &["result"],
    )
}

fn address(description: &str) -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": NAME_BYTES_MAX,
        "description": description
    })
}

fn timeout() -> Value {
    json!({
        "type": "number",
        "minimum": 0,
        "maximum": WAIT_SECONDS_MAX,
        "description": "Seconds to wait at most. Default: as long as it takes."
    })
}
