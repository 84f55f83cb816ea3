import { defineJob, fileLines, fileSink, type Infer, t, type WindowContext, watermarks, windows } from '@flinkjob/runtime';

const view = t.struct({ page: t.string, atMs: t.int });
type View = Infer<typeof view>;

export default defineJob<{ views: string; linesPerSecond: string; out: string }>(({ env, args }) => {
  const counts = env
    .source(fileLines({ path: args.views, suffix: '.log', linesPerSecond: Number(args.linesPerSecond) }), {
      uid: 'views',
      // Each file is a split with a watermark of its own: the slower server holds up the windows, not the lines that are read first.
      watermarks: watermarks.boundedOutOfOrderness({ timestampMs: (line) => toView(line).atMs, outOfOrdernessSeconds: 10 }),
    })
    .map(toView, { type: view })
    .keyBy(({ page }) => page, t.string)
    .window(windows.tumbling({ minutes: 1 }))
    // A phone without a network sends its views later. For a minute the count is corrected, then the view is told apart.
    .allowedLateness({ minutes: 1 })
    .sideOutputLate('late')
    .aggregate(
      { accumulator: t.int, create: () => 0, add: (views) => views + 1, result: (views) => views },
      {
        window(ctx: WindowContext<string, string>, views) {
          ctx.emit(`${new Date(ctx.window.start).toISOString().slice(11, 16)} ${ctx.key} ${views}`);
        },
      },
      { uid: 'counts', type: t.string },
    );
  counts.sink(fileSink({ path: `${args.out}/counts` }), { uid: 'count-files' });
  counts.sideOutput('late').sink(fileSink({ path: `${args.out}/late` }), { uid: 'late-files' });
});

/** `2026-03-01T12:00:03.250Z /pricing` */
function toView(line: string): View {
  const [time = '', page = ''] = line.split(' ');
  return { page, atMs: Date.parse(time) };
}
