//! The keys of the configuration, each defined once: reading, hints, the example, the variables of the
//! environment and `aosk config` come from this table. It says what keys are, and reads nothing.

/// What the value of a key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, whatever it looks like.
    Text,
    /// An address.
    Address,
    /// A number, a word or true and false.
    Plain,
    /// A list of models, or models with what is said of each.
    Models,
    /// Text that is never shown.
    Secret,
}

/// What holds when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usual {
    /// This value.
    Value(&'static str),
    /// What these words say.
    Otherwise(&'static str),
}

/// A key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Where it stands, parts apart by points. A part in capitals is a name that people choose, and `N`
    /// an entry of a list.
    pub(crate) path: &'static str,
    /// What it is made of.
    pub(crate) kind: Kind,
    /// What it must be, in words.
    pub(crate) form: &'static str,
    /// A value, as YAML.
    pub(crate) example: &'static str,
    /// What holds without it.
    pub(crate) usual: Usual,
    /// The option of the command line that goes before it, if there is one.
    pub(crate) flag: Option<&'static str>,
    /// What it is for, in one line.
    pub(crate) doc: &'static str,
}

impl Key {
    /// The last part of its path.
    pub(crate) fn last(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, last)| last)
    }

    /// The variable of the environment that goes before the file: keys at the top have one.
    pub(crate) fn variable(&self) -> Option<String> {
        (!self.path.contains('.')).then(|| format!("AOSK_{}", self.path.to_ascii_uppercase()))
    }
}

/// Whether a part of a path stands for names that people choose.
pub(crate) fn is_free(part: &str) -> bool {
    part.chars().all(|c| c.is_ascii_uppercase())
}

macro_rules! keys {
    ($($name:ident = ($path:literal, $kind:ident, $form:expr, $example:literal, $usual:expr, $flag:expr, $doc:literal);)*) => {
        $(
            pub(crate) const $name: Key = Key {
                path: $path,
                kind: Kind::$kind,
                form: $form,
                example: $example,
                usual: $usual,
                flag: $flag,
                doc: $doc,
            };
        )*

        /// All keys, in the order of the example.
        pub(crate) const KEYS: &[&Key] = &[$(&$name),*];
    };
}

const WHOLE: &str = "a whole number from 1";
const DOLLARS: &str = "an amount of dollars of which something can be bought";
const MODEL: &str = "a model's name";
const ADDRESS: &str = "an address of http or https";
const UNBOUNDED: Usual = Usual::Otherwise("no bound");
const OWN_ADDRESS: Usual = Usual::Otherwise("the provider's own");

keys! {
    DEFAULT_MODEL = ("default_model", Text, MODEL, "anthropic:claude-haiku-4-5",
        Usual::Otherwise("the first of llms.models, or what the environment has a key for"), Some("--model"),
        "the model that is asked: provider:name, a route, or a name of llms.models");
    BASE_URL = ("base_url", Address, ADDRESS, "https://gateway.example/v1", OWN_ADDRESS, Some("--base-url"),
        "the address of models that have none of their own");
    PERMISSION = ("permission", Plain, "restricted, standard, advanced or full", "standard",
        Usual::Value("standard"), Some("--permission"), "what agents may touch");
    SLOTS = ("slots", Plain, WHOLE, "4", Usual::Otherwise("what is usual for the provider"), Some("--slots"),
        "calls of a model at once");
    POLICY = ("policy", Plain, "one of fair, priority, round-robin, fifo", "fair", Usual::Value("fair"), None,
        "who gets a free slot of a model next");
    SLICE = ("slice", Plain, "seconds from 1, or off", "30", Usual::Value("30"), None,
        "how long a call may run while others wait");
    TOOL_SLOTS = ("tool_slots", Plain, WHOLE, "16", Usual::Value("64"), None,
        "tool calls of all agents at once, commands among them");
    WINDOW = ("window", Plain, "a number of tokens from 256", "32000",
        Usual::Otherwise("as much as the model takes"), Some("--window"),
        "tokens that a request and its answer may take together");
    REPLACEMENT = ("replacement", Plain, "one of priced, fifo-batch, lru, sliding, summarise", "priced",
        Usual::Value("priced"), Some("--replacement"), "what leaves the window when it is full");
    PREFER = ("prefer", Plain, "cost, quality or utilisation", "cost", Usual::Value("cost"), Some("--prefer"),
        "what matters most when something leaves");
    NEED_TABLE = ("need_table", Text, "a file", "needs.json", Usual::Otherwise("the table that comes along"),
        Some("--need-table"),
        "what agents are expected to need again at first, as `aosk bench needs` makes it");
    SUMMARY_MODEL = ("summary_model", Text, MODEL, "openai:gpt-5.4-mini",
        Usual::Otherwise("no model; lines are quoted"), Some("--summary-model"),
        "the model that makes the summaries of replacement: summarise");
    TASKS = ("tasks", Plain, "true or false", "true", Usual::Value("false"), Some("--tasks"),
        "offer begin_task and end_task");
    EMBEDDER = ("embedder", Text, "an embedder's name", "openai:text-embedding-3-small",
        Usual::Otherwise("none; memories are searched by words"), Some("--embedder"),
        "what makes vectors of texts, so that a search goes by meaning too");
    EMBEDDER_URL = ("embedder_url", Address, ADDRESS, "http://127.0.0.1:8081/v1", OWN_ADDRESS,
        Some("--embedder-url"), "the address of the embedder");
    LOG = ("log", Text, "a filter of the log, such as info or aosk_server=debug", "info",
        Usual::Otherwise("what a daemon has to tell if --log-format is given, else errors"), None,
        "how much is logged");
    OTEL_ENDPOINT = ("otel.endpoint", Address, ADDRESS, "http://127.0.0.1:4318",
        Usual::Otherwise("what OTEL_EXPORTER_OTLP_ENDPOINT has, which goes before this"), None,
        "the OpenTelemetry collector that a daemon tells of traces and metrics, by OTLP over HTTP");
    OTEL_HEADER = ("otel.headers.HEADER", Secret, "a text, best ${A_VARIABLE}", "${COLLECTOR_API_KEY}",
        Usual::Otherwise("what OTEL_EXPORTER_OTLP_HEADERS has, which goes before this"), None,
        "a header of every request to the collector");
    OTEL_CONTENT = ("otel.content", Plain, "true or false", "true", Usual::Value("false"), None,
        "whether the collector is told what is said to models and what they answer");
    API_KEY = ("api_keys.PROVIDER", Secret, "a key, best ${A_VARIABLE}", "${OPENAI_API_KEY}",
        Usual::Otherwise("what the provider's variable has, such as OPENAI_API_KEY, which goes before this"), None,
        "the key of a provider; one that is written out is taken from a file that others cannot read");
    LLM_NAME = ("llms.models.N.name", Text, "a model's name", "qwen3:8b",
        Usual::Otherwise("an error"), None,
        "a model that agents may ask; the first of the list if there is no default_model");
    LLM_PROVIDER = ("llms.models.N.provider", Text, "a provider's name", "ollama",
        Usual::Otherwise("backend"), None, "whose it is");
    LLM_BACKEND = ("llms.models.N.backend", Text, "a provider's name", "ollama",
        Usual::Otherwise("provider"), None, "another word for provider");
    LLM_BASE_URL = ("llms.models.N.base_url", Address, ADDRESS, "http://127.0.0.1:11434/v1",
        Usual::Otherwise("hostname, or base_url above"), None, "the address of this model");
    LLM_HOSTNAME = ("llms.models.N.hostname", Address, ADDRESS, "http://127.0.0.1:11434",
        Usual::Otherwise("base_url"), None, "the address of its server, where /v1 may be left out");
    LLM_SLOTS = ("llms.models.N.slots", Plain, WHOLE, "4", Usual::Otherwise("slots above"), None,
        "calls of this model at once");
    LLM_SLICES = ("llms.models.N.slices", Plain, "true or false", "false",
        Usual::Otherwise("true where the model goes on from what it had written"), None,
        "whether a call of it gives way when it has run for its slice, and what it wrote may be lost");
    LLM_REQUESTS = ("llms.models.N.requests_per_minute", Plain, WHOLE, "500",
        Usual::Otherwise("what its provider says"), None, "requests that its provider takes in a minute");
    LLM_TOKENS = ("llms.models.N.tokens_per_minute", Plain, WHOLE, "200000",
        Usual::Otherwise("what its provider says"), None, "tokens that its provider takes in a minute");
    LLM_USD = ("llms.models.N.usd_per_day", Plain, DOLLARS, "2.50", UNBOUNDED, None,
        "dollars that it may cost in a day");
    GROUP_PRIORITY = ("groups.NAME.priority", Plain, "a whole number from 0, the largest share, to 100", "20",
        Usual::Value("50"), None, "the share of a tenant (acme) or of a group of one (acme/research)");
    GROUP_TOKENS = ("groups.NAME.tokens", Plain, WHOLE, "1000000", UNBOUNDED, None, "tokens in all");
    GROUP_CALLS = ("groups.NAME.calls", Plain, WHOLE, "500", UNBOUNDED, None, "model calls in all");
    GROUP_USD = ("groups.NAME.usd", Plain, DOLLARS, "2.50", UNBOUNDED, None, "dollars in all");
    GROUP_STEPS = ("groups.NAME.steps", Plain, WHOLE, "200", UNBOUNDED, None, "steps in all");
    GROUP_CHILDREN = ("groups.NAME.children", Plain, WHOLE, "20", UNBOUNDED, None, "children in all");
    GROUP_WALL = ("groups.NAME.wall", Plain, WHOLE, "3600", UNBOUNDED, None, "seconds in all");
    MINUTE_CALLS = ("groups.NAME.per_minute.calls", Plain, WHOLE, "60", UNBOUNDED, None, "calls in any minute");
    MINUTE_TOKENS = ("groups.NAME.per_minute.tokens", Plain, WHOLE, "90000", UNBOUNDED, None,
        "tokens in any minute");
    MINUTE_USD = ("groups.NAME.per_minute.usd", Plain, DOLLARS, "2.50", UNBOUNDED, None,
        "dollars in any minute");
    HOUR_CALLS = ("groups.NAME.per_hour.calls", Plain, WHOLE, "60", UNBOUNDED, None, "calls in any hour");
    HOUR_TOKENS = ("groups.NAME.per_hour.tokens", Plain, WHOLE, "90000", UNBOUNDED, None, "tokens in any hour");
    HOUR_USD = ("groups.NAME.per_hour.usd", Plain, DOLLARS, "2.50", UNBOUNDED, None, "dollars in any hour");
    DAY_CALLS = ("groups.NAME.per_day.calls", Plain, WHOLE, "60", UNBOUNDED, None, "calls in any day");
    DAY_TOKENS = ("groups.NAME.per_day.tokens", Plain, WHOLE, "90000", UNBOUNDED, None, "tokens in any day");
    DAY_USD = ("groups.NAME.per_day.usd", Plain, DOLLARS, "2.50", UNBOUNDED, None, "dollars in any day");
    CALL_TOKENS = ("groups.NAME.per_call.tokens", Plain, WHOLE, "20000", UNBOUNDED, None,
        "tokens of one call, at worst");
    CALL_USD = ("groups.NAME.per_call.usd", Plain, DOLLARS, "2.50", UNBOUNDED, None,
        "dollars of one call, at worst");
    WHEN_OVER = ("groups.NAME.when_over", Plain, "wait, stop or ask", "ask", Usual::Value("wait"), None,
        "what becomes of a call for which there is no room");
    DEVICE_BASE_URL = ("devices.MODEL.base_url", Address, ADDRESS, "https://proxy.example/v1",
        Usual::Otherwise("base_url above"), None, "the address of this model");
    DEVICE_SLOTS = ("devices.MODEL.slots", Plain, WHOLE, "4", Usual::Otherwise("slots above"), None,
        "calls of this model at once");
    DEVICE_SLICES = ("devices.MODEL.slices", Plain, "true or false", "false",
        Usual::Otherwise("true where the model goes on from what it had written"), None,
        "whether a call of it gives way when it has run for its slice, and what it wrote may be lost");
    DEVICE_REQUESTS = ("devices.MODEL.requests_per_minute", Plain, WHOLE, "500",
        Usual::Otherwise("what its provider says"), None, "requests that its provider takes in a minute");
    DEVICE_TOKENS = ("devices.MODEL.tokens_per_minute", Plain, WHOLE, "200000",
        Usual::Otherwise("what its provider says"), None, "tokens that its provider takes in a minute");
    DEVICE_USD = ("devices.MODEL.usd_per_day", Plain, DOLLARS, "2.50", UNBOUNDED, None,
        "dollars that it may cost in a day");
    ROUTE = ("routes.NAME", Models,
        "a list of models, the first to be asked first, or models with their weights",
        "[anthropic:claude-haiku-4-5, openai:gpt-5.4-mini]", Usual::Otherwise("no route"), None,
        "a name that several models answer to");
    ROUTE_BY = ("routes.ROUTE.by", Plain, "order, weight, cost, quality or latency", "cost",
        Usual::Value("order"), None, "by what one of its models is chosen that can take the call");
    ROUTE_QUALITY = ("routes.ROUTE.quality", Plain, "low, medium or high", "medium",
        Usual::Otherwise("any class will do"), None, "the class that its models must have at least");
    ROUTE_WAIT = ("routes.ROUTE.wait", Plain, "seconds from 0 to 600", "5",
        Usual::Otherwise("10 by cost and by quality, 0 otherwise"), None,
        "how long a call waits for a better model that is busy while another is free");
    ROUTE_MODELS = ("routes.ROUTE.models", Models,
        "a list of models, or models with their classes or, by weight, with their weights",
        "[anthropic:claude-haiku-4-5, deepseek]", Usual::Otherwise("an error"), None, "its models");
}

#[cfg(test)]
mod tests;
