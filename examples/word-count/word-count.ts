import { defineJob, fileLines, type Infer, type KeyedProcessContext, keyedProcess, print, state, t } from '@flinkjob/runtime';
import { findTextFiles } from './text-files.ts';

/** How often the ranking is printed. */
const rankingIntervalMs = 1000;
const rankingLength = 6;

const wordCount = t.struct({ word: t.string, count: t.int });
type WordCount = Infer<typeof wordCount>;

export default defineJob<{ text: string; linesPerSecond: string }>(async ({ env, args }) => {
  const path = await findTextFiles(args.text);
  env
    // repeat: after the last file the first comes again, so this job never ends.
    .source(fileLines({ path, repeat: true, linesPerSecond: Number(args.linesPerSecond) }), { uid: 'text' })
    .flatMap(wordsOf, { type: t.string })
    // All records of one word meet in one subtask, which keeps the word's count.
    .keyBy((word) => word, t.string)
    .process(countWords, { uid: 'counts', type: wordCount })
    // One key for everything: a single subtask sees all counts and can rank them.
    .keyBy(() => 'all', t.string)
    .process(rankWords, { uid: 'ranking', type: t.string, parallelism: 1 })
    .sink(print(), { uid: 'out', parallelism: 1 });
});

/** Words as people read them: no tags, and nothing that holds a slash or an at sign, such as addresses and paths. */
function wordsOf(line: string): readonly string[] {
  const prose = line.replace(/<[^>]*>|\S*[/@]\S*/g, ' ');
  return prose.toLowerCase().match(/[a-z]{2,}/g) ?? [];
}

const countWords = keyedProcess({
  state: { count: state.value(t.int) },
  element(word: string, ctx: KeyedProcessContext<string, WordCount>, { count }) {
    const next = (count.get() ?? 0) + 1;
    count.set(next);
    ctx.emit({ word, count: next });
  },
});

const rankWords = keyedProcess({
  state: { total: state.value(t.int), ranking: state.value(t.array(wordCount)), printAt: state.value(t.int) },
  element(update: WordCount, ctx: KeyedProcessContext<string, string>, { total, ranking, printAt }) {
    total.set((total.get() ?? 0) + 1);
    const others = (ranking.get() ?? []).filter(({ word }) => word !== update.word);
    ranking.set([...others, update].sort((a, b) => b.count - a.count).slice(0, rankingLength));
    // Timers are state as well: one that was set before a restart still fires after it.
    if (printAt.get() === undefined) {
      const at = ctx.processingTimeMs() + rankingIntervalMs;
      printAt.set(at);
      ctx.timers.registerProcessingTime(at);
    }
  },
  timer(_timestampMs, ctx, { total, ranking, printAt }) {
    printAt.clear();
    const words = (ranking.get() ?? []).map(({ word, count }) => `${word} ${count}`);
    ctx.emit(`${total.get()} words: ${words.join(', ')}`);
  },
});
