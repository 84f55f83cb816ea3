import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  defineJob,
  fileSink,
  print,
  type Source,
  type SourceReader,
  type SourceReaderContext,
  type Split,
  t,
  type WindowContext,
  watermarks,
  windows,
} from '@flinkjob/runtime';

/** Record `n` of a split comes `startMs + n * everyMs` after the reader began, and has the event time `firstTimestampMs + n * stepMs`. */
interface Script {
  readonly startMs?: number;
  readonly everyMs: number;
  readonly count: number;
  readonly firstTimestampMs?: number;
  readonly stepMs: number;
  /** Nothing comes for so long before this record. */
  readonly silence?: { readonly before: number; readonly forMs: number };
}

interface Scenario {
  readonly splits: Readonly<Record<string, Script>>;
  readonly idleSeconds?: number;
  readonly maxDriftSeconds?: number;
  /** How long the record with this value holds up the thread that counts it. */
  readonly stall?: { readonly at: number; readonly forMs: number };
  /** All splits in one subtask, whose reader does not say which of them has something. */
  readonly isPlain?: boolean;
  /** Also a reader without splits never says that it has ended. */
  readonly isEndless?: boolean;
}

const scenarios: Readonly<Record<string, Scenario>> = {
  withoutSplits: {
    splits: { only: { everyMs: 5, count: 1e9, stepMs: 100 } },
    maxDriftSeconds: 1,
    isEndless: true,
  },
  silentSplit: {
    splits: {
      steady: { everyMs: 20, count: 120, stepMs: 200 },
      silent: { everyMs: 1, count: 20, stepMs: 1_000, firstTimestampMs: 30_000, silence: { before: 0, forMs: 3_000 } },
    },
    idleSeconds: 0.4,
    maxDriftSeconds: 5,
  },
  backPressure: {
    splits: {
      ahead: { everyMs: 1, count: 2_000, stepMs: 1, firstTimestampMs: 1_000_000 },
      behind: { everyMs: 1, count: 2_000, stepMs: 1 },
    },
    // Longer than a machine may stand still without being taken for one that did; and the stall longer than both.
    idleSeconds: 1.2,
    isPlain: true,
    stall: { at: 500, forMs: 4_000 },
  },
  aligned: {
    splits: {
      slow: { everyMs: 50, count: 80, stepMs: 50 },
      fast: { everyMs: 5, count: 1_000, stepMs: 100 },
    },
    idleSeconds: 0.5,
    maxDriftSeconds: 5,
  },
};

interface ScriptedRecord {
  readonly splitId: string;
  readonly index: number;
  readonly atMs: number;
  /** Whether another split had ended when this record was read. */
  readonly afterEnd: boolean;
}

const counted = t.struct({ splitId: t.string, index: t.int, atMs: t.int, afterEnd: t.boolean });

// Records that come when a script says, counted by split and second of event time; each line says also how far the watermark was beyond
// the window when it fired.
export default defineJob<{ scenario: string; out: string }>(({ env, args }) => {
  const scenario = scenarios[args.scenario];
  if (scenario === undefined) {
    throw new Error(`no scenario ${args.scenario}`);
  }
  const { idleSeconds, maxDriftSeconds, stall } = scenario;
  const counts = env
    .source(scriptedSource(scenario, args.out), {
      uid: 'events',
      ...(scenario.isPlain ? { parallelism: 1 } : {}),
      watermarks: watermarks.boundedOutOfOrderness({
        timestampMs: ({ atMs }) => atMs,
        outOfOrdernessSeconds: 0,
        ...(idleSeconds === undefined ? {} : { idleSeconds }),
        ...(maxDriftSeconds === undefined ? {} : { alignment: { group: 'all', maxDriftSeconds } }),
      }),
    })
    .keyBy(({ splitId }) => splitId, t.string)
    .window(windows.tumbling({ seconds: 1 }))
    .sideOutputLate('late')
    .aggregate(
      {
        accumulator: t.struct({ count: t.int, before: t.int }),
        create: () => ({ count: 0, before: 0 }),
        add: ({ count, before }, { index, afterEnd }) => {
          if (index === stall?.at) {
            // Synchronous on purpose: what this thread consumes must wait.
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stall.forMs);
          }
          return { count: count + 1, before: before + (afterEnd ? 0 : 1) };
        },
        result: ({ count, before }) => `${count} ${before}`,
      },
      {
        window(ctx: WindowContext<string, string>, seen) {
          ctx.emit(`${ctx.key} ${ctx.window.start} ${seen} ${ctx.watermarkMs() - ctx.window.end}`);
        },
      },
      { uid: 'counts', type: t.string },
    );
  counts.sink(scenario.isEndless ? print() : fileSink({ path: join(args.out, 'counts') }), { uid: 'counts-out' });
  counts.sideOutput('late').sink(fileSink({ path: join(args.out, 'late') }), { uid: 'late-out' });
});

function scriptedSource(scenario: Scenario, directory: string): Source<ScriptedRecord, { next: number }> {
  const { splits, isEndless = false } = scenario;
  return {
    name: 'scripted',
    recordType: counted,
    positionType: t.struct({ next: t.int }),
    bounded: !isEndless,
    replayable: true,
    parallelismMax: undefined,
    discoverSplits: async () => Object.keys(splits).map((id) => ({ id, position: { next: 0 } })),
    createReader: (context, given) => new ScriptedReader({ context, given, scenario, directory }),
  };
}

class ScriptedReader implements SourceReader<ScriptedRecord, { next: number }> {
  readonly #options: ConstructorParameters<typeof ScriptedReader>[0];
  readonly #startedAtMs: number;
  readonly #next: Map<string, number>;
  readonly #ended = new Set<string>();
  #paused: ReadonlySet<string> = new Set();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: {
    readonly context: SourceReaderContext;
    readonly given: readonly Split<{ next: number }>[];
    readonly scenario: Scenario;
    readonly directory: string;
  }) {
    this.#options = options;
    this.#startedAtMs = options.context.nowMs();
    this.#next = new Map(options.given.map(({ id, position }) => [id, position.next]));
  }

  poll(): ReturnType<SourceReader<ScriptedRecord, unknown>['poll']> {
    const { directory, scenario } = this.#options;
    const ids = [...this.#next.keys()];
    for (const _ of ids) {
      const splitId = ids[this.#turn++ % ids.length] ?? '';
      if (this.#ended.has(splitId) || this.#paused.has(splitId) || !this.#isDue(splitId)) {
        continue;
      }
      const index = this.#next.get(splitId) ?? 0;
      const script = this.#script(splitId);
      if (index === script.count) {
        this.#ended.add(splitId);
        writeFileSync(join(directory, 'ended'), splitId);
        return { splitId, records: [], isLast: true };
      }
      this.#next.set(splitId, index + 1);
      const atMs = (script.firstTimestampMs ?? 0) + index * script.stepMs;
      return { splitId, records: [{ splitId, index, atMs, afterEnd: existsSync(join(directory, 'ended')) }] };
    }
    if (this.#ended.size === ids.length && !scenario.isEndless) {
      return 'End';
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#options.context.wake(), 2);
    return 'Pending';
  }

  isReadable(splitId: string): boolean {
    return !this.#options.scenario.isPlain && this.#isDue(splitId);
  }

  #isDue(splitId: string): boolean {
    const { startMs = 0, everyMs, silence } = this.#script(splitId);
    const index = this.#next.get(splitId) ?? 0;
    const silenceMs = silence !== undefined && index >= silence.before ? silence.forMs : 0;
    return this.#options.context.nowMs() >= this.#startedAtMs + startMs + index * everyMs + silenceMs;
  }

  positions(): readonly Split<{ next: number }>[] {
    return [...this.#next].map(([id, next]) => ({ id, position: { next } }));
  }

  pauseSplits(splitIds: ReadonlySet<string>): void {
    this.#paused = splitIds;
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
  }

  #script(splitId: string): Script {
    const script = this.#options.scenario.splits[splitId];
    if (script === undefined) {
      throw new Error(`no script of ${splitId}`);
    }
    return script;
  }
}
