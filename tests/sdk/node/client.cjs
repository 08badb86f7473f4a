// The `openai` and `@anthropic-ai/sdk` packages of npm. Plays the scene that is named and prints what came of
// it as JSON; the expectations are in test_node.py.
const { Anthropic } = require("@anthropic-ai/sdk");
const { OpenAI } = require("openai");
const { zodResponseFormat } = require("openai/helpers/zod");
const { z } = require("zod");

const [, , scene, model] = process.argv;
const openai = new OpenAI({ baseURL: `${process.env.KERNEL}/v1`, apiKey: process.env.TOKEN, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: process.env.KERNEL, apiKey: process.env.TOKEN, maxRetries: 0 });

const ask = (content) => ({ model, messages: [{ role: "user", content }] });
const tool = {
  type: "function",
  function: {
    name: "weather",
    description: "Tells the weather",
    parameters: { type: "object", properties: { city: { type: "string" } } },
    parse: JSON.parse,
    function: ({ city }) => `sun in ${city}`,
  },
};
const City = z.object({ name: z.string(), people: z.number() });

const SCENES = {
  async chat() {
    const answer = await openai.chat.completions.create(ask("[[say: good day]]"));
    return { text: answer.choices[0].message.content, usage: answer.usage };
  },
  async stream() {
    const pieces = [];
    const stream = await openai.chat.completions.create({ ...ask("[[say: one two three]]"), stream: true });
    for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta?.content ?? "");
    return pieces.filter((piece) => piece);
  },
  async tools() {
    const asked = { ...ask('[[call: weather {"city": "Rom"}; weather {"city": "Wien"}]]'), tools: [tool] };
    return openai.chat.completions.runTools({ ...asked, stream: true }).finalContent();
  },
  async form() {
    const asked = ask('[[json: {"name": "Rom", "people": 3}]]');
    const answer = await openai.chat.completions.parse({ ...asked, response_format: zodResponseFormat(City, "city") });
    return answer.choices[0].message.parsed;
  },
  async responses() {
    const stream = openai.responses.stream({ model, input: "[[say: one two]]", store: false });
    return (await stream.finalResponse()).output_text;
  },
  async messages() {
    const stream = anthropic.messages.stream({ ...ask("[[say: one two]]"), max_tokens: 100 });
    const answer = await stream.finalMessage();
    return { text: answer.content[0].text, stop: answer.stop_reason, output: answer.usage.output_tokens };
  },
  async abort() {
    const stream = await openai.chat.completions.create({ ...ask("[[hang]]"), stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta?.content) stream.controller.abort();
    }
    return "gone";
  },
  async errors() {
    const found = [];
    const note = (error) => found.push([error.constructor.name, error.status, error.code]);
    await openai.chat.completions.create({ ...ask("[[say: yes]]"), model: "nobody" }).catch(note);
    await openai.chat.completions.create({ ...ask("x"), messages: [] }).catch(note);
    const stranger = new OpenAI({ baseURL: openai.baseURL, apiKey: "nobody", maxRetries: 0 });
    await stranger.chat.completions.create(ask("[[say: yes]]")).catch(note);
    return found;
  },
};

SCENES[scene]().then((result) => console.log(JSON.stringify(result)));
