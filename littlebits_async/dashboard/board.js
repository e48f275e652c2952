// The whole page: a card for each device, told by the server what has changed, a few times a second at most.

const LIGHTS = ["green", "yellow", "red", "blue", "purple", "white", "cyan", "clownbarf"];
const EVENTS = {
  "amplitude": "every reading",
  "amplitude:delta:ignite": "it goes up (ignite)",
  "amplitude:delta:release": "it goes down (release)",
  "amplitude:delta:sustain": "it stays up (sustain)",
  "amplitude:delta:nap": "it stays down (nap)",
  "amplitude:level:active": "it is up (active)",
  "amplitude:level:idle": "it is down (idle)",
};
const ICONS = {
  live: "M2 8a6 6 0 1 1 12 0A6 6 0 1 1 2 8z",
  waits: "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2zm0 2.5v3.8l2.6 1.6-.8 1.2L6.5 9V4.500z",
  lost: "M8 1.500 15 14H1zM7.200 6v4h1.600V6zm0 5v1.600h1.600V11z",
  off: "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2zM4.500 7.200h7v1.600h-7z",
};
const THEMES = { auto: "system", light: "light", dark: "dark" };
const DRAW_EVERY = window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 100;
const DESCRIBE_EVERY = 1000;
const WRITE_EVERY = 300;
const ANSWER_WITHIN = 70000;

// The server's clock, as far as can be told here: what takes long to come is not older for it.
const clock = {
  ahead: -Infinity,
  now: () => performance.now() / 1000 + clock.ahead,
  sync(now) {
    const ahead = now - performance.now() / 1000;
    clock.ahead = Math.abs(ahead - clock.ahead) > 5 ? ahead : Math.max(ahead, clock.ahead - 0.001);
  },
};

class Trace {
  times = [];
  percents = [];

  // Samples are times and percents by turns; they take the place of what is here from a time on.
  replace(from, samples, oldest) {
    while (this.times.length && this.times.at(-1) >= from) {
      this.times.pop();
      this.percents.pop();
    }
    for (let i = 0; i < samples.length; i += 2) {
      this.times.push(samples[i]);
      this.percents.push(samples[i + 1]);
    }
    let old = 0;
    while (old < this.times.length && this.times[old] < oldest) old++;
    this.times.splice(0, old);
    this.percents.splice(0, old);
  }
}

// By hand, and not by the ECharts that NiceGUI has: for the same picture that takes three times the CPU, five times the
// memory and 360 kB of script, and cannot keep up with 200 cards; a gap is as much code with it.
function draw(canvas, card, span) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const style = getComputedStyle(canvas);
  const [ink, line, gap] = ["--input", "--line", "--gap"].map((name) => style.getPropertyValue(name));
  const now = clock.now();
  const x = (time) => width - ((now - time) / span) * width;
  const y = (percent) => 4 + (1 - percent / 100) * (height - 8);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);

  pen.strokeStyle = line;
  pen.lineWidth = 1;
  for (const percent of [0, 50, 100]) {
    const level = Math.round(y(percent)) + 0.5;
    pen.beginPath();
    pen.moveTo(0, level);
    pen.lineTo(width, level);
    pen.stroke();
  }

  pen.fillStyle = gap;
  for (const [since, until] of card.gaps) {
    const start = Math.max(x(since), 0);
    pen.fillRect(start, 0, Math.max(x(until ?? now) - start, 1), height);
  }

  const { times, percents } = card.trace;
  if (!times.length) return;
  // A line for each stretch between two gaps; the last goes on to now, since the input is as it was last read.
  const ends = card.gaps.map(([since]) => since).concat(Infinity);
  const area = new Path2D();
  const path = new Path2D();
  let first = null;
  let last = null;
  let next = 0;
  const close = (until) => {
    if (first === null) return;
    path.lineTo(x(until), y(last));
    area.lineTo(x(until), y(last));
    area.lineTo(x(until), height);
    area.lineTo(x(first), height);
    first = null;
  };
  times.forEach((time, i) => {
    while (time > ends[next]) close(ends[next++]);
    if (first === null) {
      first = time;
      path.moveTo(x(time), y(percents[i]));
      area.moveTo(x(time), height);
      area.lineTo(x(time), y(percents[i]));
    } else {
      path.lineTo(x(time), y(percents[i]));
      area.lineTo(x(time), y(percents[i]));
    }
    last = percents[i];
  });
  close(card.gaps.some(([, until]) => until === null) ? times.at(-1) : now);
  pen.globalAlpha = 0.14;
  pen.fillStyle = ink;
  pen.fill(area);
  pen.globalAlpha = 1;
  pen.strokeStyle = ink;
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  pen.stroke(path);
}

function describe(card, span) {
  if (!card.trace.times.length) return `Input of ${card.label}: no reading in the last ${span} seconds.`;
  const [low, high] = [Math.min(...card.trace.percents), Math.max(...card.trace.percents)].map(Math.round);
  const gaps = card.gaps.length ? ` Readings are missing ${card.gaps.length} times.` : "";
  return `Input of ${card.label} in the last ${span} seconds: ${low} to ${high} percent, last ${Math.round(card.percent)} percent.${gaps}`;
}

const State = {
  props: { card: Object },
  data: () => ({ ICONS }),
  template: `
    <span class="state" :data-tone="card.tone">
      <svg viewBox="0 0 16 16" aria-hidden="true"><path fill-rule="evenodd" :d="ICONS[card.tone]" /></svg>{{ card.state }}
    </span>`,
};

// What changes with each reading is in components of its own, so that the rest of a card is left as it is.
const Reading = {
  inject: ["board"],
  props: { card: Object },
  template: `
    <p class="reading">
      <span class="percent"><span class="value">{{ card.percent === null ? "–" : Math.round(card.percent) }}</span><span class="unit">%</span></span>
      <span class="volts">{{ card.volts === null ? "–" : card.volts.toFixed(2) }} V</span>
      <span class="aside">{{ card.tone === "live" ? card.rate.toFixed(1) + "/s" : card.age ? "read " + board.duration(card.age) + " ago" : "" }}
        <span v-if="card.reconnects"> · {{ card.reconnects }} reconnect{{ card.reconnects === 1 ? "" : "s" }}</span></span>
    </p>`,
};

const Chart = {
  inject: ["board"],
  props: { card: Object },
  data: () => ({ alternative: "" }),
  mounted() {
    this.visible = true;
    this.describedAt = performance.now();
    this.alternative = describe(this.card, this.board.span);
    this.board.watch(this.$el, this);
  },
  beforeUnmount() {
    this.board.unwatch(this.$el);
  },
  methods: {
    frame(at) {
      if (this.visible) draw(this.$el, this.card, this.board.span);
      if (at - this.describedAt < DESCRIBE_EVERY) return;
      this.describedAt = at;
      this.alternative = describe(this.card, this.board.span);
      const last = this.card.trace.times.at(-1);
      this.card.age = last === undefined ? 0 : Math.round(clock.now() - last);
    },
  },
  template: `<canvas role="img" :aria-label="alternative"></canvas>`,
};

const BitCard = {
  components: { State, Reading, Chart },
  inject: ["board"],
  props: { card: Object },
  data: () => ({ draft: null, blink: false, lights: LIGHTS }),
  computed: {
    name() {
      return `name-${this.card.id}`;
    },
    isCurrent() {
      return this.card.tone === "live";
    },
    output() {
      return this.draft ?? this.card.output;
    },
  },
  created() {
    this.writtenAt = -Infinity;
  },
  beforeUnmount() {
    clearTimeout(this.timer);
  },
  methods: {
    slide(event) {
      this.draft = Number(event.target.value);
      clearTimeout(this.timer);
      const due = Math.max(this.writtenAt + WRITE_EVERY - performance.now(), 60);
      this.timer = setTimeout(() => this.write(), due);
    },
    async write() {
      const percent = this.draft;
      this.writtenAt = performance.now();
      const isSet = (await this.board.ask("output", this.card.id, { percent })) !== undefined;
      if (this.draft !== percent) return;
      if (isSet) this.card.output = percent;
      this.draft = null;
    },
    light(color) {
      this.board.ask("light", this.card.id, { color, mode: this.blink ? "blink" : "hold" });
    },
    isLit(color) {
      return (this.card.light ?? "").startsWith(color + " ");
    },
  },
  template: `
    <li>
      <article class="card" :aria-labelledby="name" :data-device="card.id" :data-current="isCurrent">
        <header>
          <h2 :id="name" dir="auto" :title="card.label">{{ card.label }}</h2>
          <State :card="card" />
        </header>
        <Reading :card="card" />
        <p v-if="card.detail && !isCurrent" class="why">{{ card.detail }}</p>
        <Chart :card="card" />
        <div class="control">
          <label :for="'output-' + card.id">Output</label>
          <input type="range" :id="'output-' + card.id" min="0" max="100" step="1" :value="output ?? 0" @input="slide"
            :style="{ '--share': (output ?? 0) + '%' }" :data-set="output !== null" :aria-label="'Output of ' + card.label"
            :aria-valuetext="output === null ? 'not set from here yet' : output + ' percent'" />
          <span class="level" aria-hidden="true">{{ output === null ? "–" : output + " %" }}</span>
        </div>
        <p v-if="card.unwritten" class="why">Output not written: {{ card.unwritten }}</p>
        <div class="control" role="group" :aria-label="'Light of ' + card.label">
          <span class="title" aria-hidden="true">Light</span>
          <span class="lights">
            <button v-for="color in lights" :key="color" type="button" class="light" :data-color="color" :title="color"
              :aria-label="color" :aria-pressed="isLit(color)" @click="light(color)"></button>
          </span>
          <label class="blink"><input type="checkbox" v-model="blink" /> blink</label>
        </div>
        <footer>
          <code>{{ card.id }}</code>
          <button type="button" class="quiet" :aria-describedby="name" @click="board.open(card)">Name, subscriptions</button>
        </footer>
      </article>
    </li>`,
};

const BitDialog = {
  inject: ["board"],
  data: () => ({ card: null, label: "", list: null, who: "", url: "", event: "amplitude", events: EVENTS, note: "", isBusy: false }),
  computed: {
    others() {
      return this.board.order.filter((id) => id !== this.card?.id && this.board.cards[id]).map((id) => this.board.cards[id]);
    },
  },
  methods: {
    async open(card) {
      Object.assign(this, { card, label: card.label, list: null, url: "", note: "" });
      this.who = this.others[0]?.id ?? "url";
      this.$refs.dialog.showModal();
      await this.take(this.ask("subscriptions"));
    },
    close() {
      this.$refs.dialog.close();
    },
    async ask(command, rest) {
      this.isBusy = true;
      try {
        return await this.board.ask(command, this.card.id, rest, (error) => (this.note = error));
      } finally {
        this.isBusy = false;
      }
    },
    async take(asked) {
      const list = await asked;
      if (list !== undefined) this.list = list;
      return list !== undefined;
    },
    async rename() {
      if ((await this.ask("rename", { label: this.label })) !== undefined) this.note = "Renamed.";
    },
    async subscribe() {
      const subscriber = this.who === "url" ? this.url : this.who;
      if (await this.take(this.ask("subscribe", { subscriber, event: this.event }))) this.note = "Added.";
    },
    async unsubscribe(item) {
      if (await this.take(this.ask("unsubscribe", { key: item.key }))) this.note = "Removed.";
      this.$refs.close.focus();
    },
    words(item) {
      return item.events.map((name) => EVENTS[name] ?? name).join(", ") || "as the cloud chooses";
    },
  },
  template: `
    <dialog ref="dialog" aria-labelledby="dialog-title" @click="(event) => event.target === $refs.dialog && close()">
      <div v-if="card" class="panel">
        <header><h2 id="dialog-title" dir="auto">{{ card.label }}</h2>
          <button type="button" class="quiet" ref="close" @click="close">Close</button></header>
        <form class="fields" @submit.prevent="rename">
          <label for="new-name">Name</label>
          <input id="new-name" v-model="label" dir="auto" required maxlength="200" autocomplete="off" />
          <button type="submit" :disabled="isBusy">Rename</button>
        </form>
        <h3>Who is told of its input</h3>
        <p v-if="list === null" class="hint">Asking the cloud …</p>
        <p v-else-if="!list.length" class="hint">Nobody yet.</p>
        <ul v-else class="subscriptions">
          <li v-for="item in list" :key="item.key">
            <span><strong dir="auto">{{ item.who }}</strong><br /><small>when {{ words(item) }}</small></span>
            <button type="button" class="quiet" :aria-label="'Tell ' + item.who + ' no more'" :disabled="isBusy" @click="unsubscribe(item)">Remove</button>
          </li>
        </ul>
        <form class="fields" @submit.prevent="subscribe">
          <label for="who">Tell</label>
          <select id="who" v-model="who">
            <option v-for="other in others" :key="other.id" :value="other.id">{{ other.label }}</option>
            <option value="url">a URL …</option>
          </select>
          <template v-if="who === 'url'">
            <label for="url">URL</label>
            <input id="url" type="url" v-model="url" required placeholder="https://" autocomplete="off" />
          </template>
          <label for="when">when</label>
          <select id="when" v-model="event">
            <option v-for="(words, name) in events" :key="name" :value="name">{{ words }}</option>
          </select>
          <button type="submit" :disabled="isBusy">Add</button>
        </form>
        <p class="hint" role="status">{{ note }}</p>
      </div>
    </dialog>`,
};

export default {
  components: { BitCard, BitDialog },
  props: { canLogOut: Boolean },
  emits: ["ask"],
  provide() {
    return { board: this };
  },
  data: () => ({
    cards: {},
    order: [],
    budget: {},
    rate: 0,
    span: 60,
    isTold: false,
    isAway: false,
    find: "",
    theme: "auto",
    themes: THEMES,
    problems: [],
    news: "",
  }),
  computed: {
    shown() {
      const words = this.find.trim().toLowerCase();
      return this.order
        .map((id) => this.cards[id])
        .filter((card) => card && (!words || `${card.label} ${card.id} ${card.state}`.toLowerCase().includes(words)));
    },
    live() {
      return this.order.filter((id) => this.cards[id]?.tone === "live").length;
    },
    budgetText() {
      const { limit, available, hold, waiting } = this.budget;
      if (limit === undefined) return "";
      if (hold) return `requests on hold for ${this.duration(hold)}`;
      if (limit === null) return "no limit";
      return `${available} of ${limit}` + (waiting ? `, ${waiting} waiting` : "");
    },
  },
  created() {
    this.watched = new Map();
    this.asked = new Map();
    this.changed = new Map();
    this.number = 0;
  },
  mounted() {
    this.theme = localStorage.getItem("littlebits-theme") ?? "auto";
    this.setTheme();
    let last = 0;
    const frame = (at) => {
      if (at - last >= DRAW_EVERY) {
        last = at;
        for (const chart of this.watched.values()) chart.frame(at);
      }
      this.handle = requestAnimationFrame(frame);
    };
    this.handle = requestAnimationFrame(frame);
    this.$nextTick(() => {
      window.socket.on("disconnect", () => this.lose());
      window.socket.on("connect_error", () => this.lookForLogin());
    });
  },
  beforeUnmount() {
    cancelAnimationFrame(this.handle);
    this.observer?.disconnect();
  },
  methods: {
    // What the server calls.
    tell(news) {
      clock.sync(news.now);
      this.span = news.window ?? this.span;
      this.order = news.order ?? this.order;
      this.budget = news.budget ?? this.budget;
      this.rate = news.rate ?? this.rate;
      for (const { id, from, samples, ...face } of news.cards) {
        const known = this.cards[id];
        const card = known ?? (this.cards[id] = { id, gaps: [], output: null, unwritten: null, light: null, percent: null, age: 0, trace: Vue.markRaw(new Trace()) });
        if (samples) card.trace.replace(from, samples, clock.now() - this.span - 1);
        const { tone, unwritten } = card;
        Object.assign(card, face);
        if (known && tone !== card.tone) this.announce(card);
        if (known && card.unwritten && unwritten !== card.unwritten) this.complain(`${card.label}: the output was not written: ${card.unwritten}`);
      }
      this.isTold = true;
      this.isAway = false;
    },
    answer(answer) {
      this.asked.get(answer.number)?.(answer);
    },

    // What cards and the dialog call.
    async ask(command, id, rest, fail = (text) => this.complain(`${this.cards[id].label}: ${text}`)) {
      if (this.isAway) {
        // It would be kept, and done when the server is back: nobody expects it then.
        fail("the dashboard's server is away");
        return undefined;
      }
      const number = ++this.number;
      const answered = new Promise((resolve) => this.asked.set(number, resolve));
      const timer = setTimeout(() => this.answer({ number, error: "No answer came." }), ANSWER_WITHIN);
      this.$emit("ask", { number, do: command, id, ...rest });
      const answer = await answered;
      clearTimeout(timer);
      this.asked.delete(number);
      if ("error" in answer) {
        fail(answer.error);
        return undefined;
      }
      return answer.ok;
    },
    open(card) {
      this.$refs.dialog.open(card);
    },
    watch(canvas, chart) {
      this.observer ??= new IntersectionObserver((entries) => {
        for (const entry of entries) {
          const found = this.watched.get(entry.target);
          if (found) found.visible = entry.isIntersecting;
        }
      });
      this.watched.set(canvas, chart);
      this.observer.observe(canvas);
    },
    unwatch(canvas) {
      this.watched.delete(canvas);
      this.observer.unobserve(canvas);
    },
    duration(seconds) {
      return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
    },

    // Ours.
    lose() {
      this.isAway = true;
      for (const card of Object.values(this.cards)) {
        if (card.gaps.at(-1)?.[1] !== null) card.gaps.push([clock.now(), null]);
        Object.assign(card, { state: "not known", tone: "lost", detail: "" });
      }
    },
    announce(card) {
      // All that changes within some seconds in one sentence, so that a screen reader is not talked over.
      this.changed.set(card.id, card);
      this.announcing ??= setTimeout(() => {
        const changed = [...this.changed.values()];
        this.news = changed.length > 3 ? `${changed.length} devices changed, ${this.live} are live.` : changed.map((each) => `${each.label}: ${each.state}.`).join(" ");
        this.changed.clear();
        this.announcing = undefined;
      }, 2000);
    },
    complain(text) {
      const number = ++this.number;
      this.problems = [...this.problems.filter((each) => each.text !== text).slice(-2), { number, text }];
      setTimeout(() => (this.problems = this.problems.filter((each) => each.number !== number)), 10000);
    },
    nextTheme() {
      const names = Object.keys(THEMES);
      this.theme = names[(names.indexOf(this.theme) + 1) % names.length];
      localStorage.setItem("littlebits-theme", this.theme);
      this.setTheme();
    },
    setTheme() {
      if (!(this.theme in THEMES)) this.theme = "auto";
      Quasar.Dark.set(this.theme === "auto" ? "auto" : this.theme === "dark");
    },
    async lookForLogin() {
      // A server that was started anew knows nobody who was logged in.
      const answer = await fetch("/", { redirect: "manual", cache: "no-store" }).catch(() => null);
      if (answer?.type === "opaqueredirect") window.location.reload();
    },
  },
  template: `
    <div class="board">
      <a class="skip" href="#devices">To the devices</a>
      <header class="top">
        <h1><svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" /><path d="M5 20h4l3-9 5 13 4-10 2 6h4" /></svg>cloudBits</h1>
        <p class="summary"><template v-if="isTold && !isAway"><strong>{{ live }}</strong> of {{ order.length }} live · {{ rate }} readings/s</template></p>
        <input v-if="order.length > 6" type="search" class="find" v-model="find" aria-label="Find devices" placeholder="Find a device" />
        <div class="budget" v-if="budgetText" :data-hold="!!budget.hold">
          <span id="budget-label">Requests left this hour</span>
          <meter v-if="budget.limit" aria-labelledby="budget-label" min="0" :max="budget.limit" :low="budget.limit * 0.1" :high="budget.limit * 0.3" :optimum="budget.limit"
            :value="budget.available" :aria-valuetext="budgetText"></meter>
          <span class="figure">{{ budgetText }}</span>
        </div>
        <button type="button" class="quiet theme" @click="nextTheme">Theme: {{ themes[theme] }}</button>
        <form v-if="canLogOut" method="post" action="/logout"><button type="submit" class="quiet">Log out</button></form>
      </header>
      <p class="away" role="alert" v-if="isAway">The dashboard's server is away. Trying again …</p>
      <p class="unseen" role="status">{{ news }}</p>
      <div class="problems" role="alert" aria-atomic="false"><p v-for="problem in problems" :key="problem.number" dir="auto">{{ problem.text }}</p></div>
      <section id="devices" tabindex="-1" aria-label="Devices" :data-away="isAway">
        <p v-if="!isTold" class="hint">Connecting …</p>
        <p v-else-if="!order.length" class="hint">This account has no devices yet.</p>
        <p v-else-if="!shown.length" class="hint">No device is called so.</p>
        <ul class="cards"><BitCard v-for="card in shown" :key="card.id" :card="card" /></ul>
      </section>
      <BitDialog ref="dialog" />
    </div>`,
};
