// Covers what stands on the screen at which size. How it gets there is covered in screen.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobStatus, liveView } from '../../../test/fakes/live-view.ts';
import { render } from './render.ts';
import { paint } from './style.ts';
import { textWidth } from './text-width.ts';
import type { LiveView } from './view-state.ts';

function lines(view: LiveView, columns: number, rows: number): readonly string[] {
  return render(view, { columns, rows }).map((line) => paint(line, false));
}

const crowded = liveView({
  name: 'a-name-that-is-longer-than-most-people-would-ever-dare-to-give-to-a-job',
  problem: [
    'word-count.yaml:12:5: spec.job.paralelism is not a field of FlinkJob',
    '  12 |     paralelism: 2',
    '     |     ^',
    'Did you mean parallelism?',
  ],
  status: jobStatus({
    vertices: Array.from({ length: 30 }, (_, index) => ({
      id: `v${index}`,
      name: `vertex ${index} -> with a long name -> 漢字`,
      parallelism: 12,
      runningSubtasks: 3,
      endedSubtasks: 0,
      recordsIn: 5e9,
      recordsOut: 5e9,
      stateSizeBytes: 5e12,
      lateRecordsDropped: 0,
    })),
  }),
  output: Array.from({ length: 200 }, (_, index) => `漢字かな交じり文 ${index} 👩‍👩‍👧 ${'x'.repeat(300)}\x1b[2J\x07\t!`),
});

test('no line is wider than the terminal and no frame higher, at any size', () => {
  for (const view of [
    liveView(),
    liveView({ status: undefined, events: [], output: [], attempt: undefined, revision: undefined }),
    crowded,
  ]) {
    for (const columns of [20, 21, 37, 40, 60, 79, 80, 100, 200]) {
      for (const rows of [5, 6, 10, 24, 50]) {
        const frame = lines(view, columns, rows);
        assert.equal(frame.length, rows, `${columns}x${rows}`);
        for (const line of frame) {
          assert(textWidth(line) <= columns, `${columns}x${rows}: ${textWidth(line)} in "${line}"`);
        }
      }
    }
  }
});

test('nothing a job prints can move the cursor', () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  assert.doesNotMatch(lines(crowded, 80, 30).join(''), /[\x00-\x1f\x7f]/);
});

test('a terminal of the usual size shows state, vertices with rates, checkpoint, events, output and how to stop', () => {
  const frame = lines(liveView(), 80, 24).join('\n');
  for (const part of [
    /^ ● Running {2}default\/word-count +for 2m 14s $/m,
    /parallelism 2 · 2 TaskManagers, 4 slots · attempt 2 · revision 5f1c2e\n/,
    /text → words +■ +100 +670 +backpr 85% +26,800/,
    /counts → out +■■ .* busy 97% .*393 KiB/,
    /sources +1\.4 MiB to read · records are 2\.5 s old\n/,
    /throughput +670 records\/s +█/,
    /checkpoint +#42 {2}3 s ago · took 45 ms · 12\.3 KiB, 1\.2 KiB new · 12 completed/,
    /0 restarts · continued from checkpoint 41/,
    /Started {2}revision 5f1c2e runs as attempt 2/,
    /\(and, 420\)/,
    /Ctrl-C stops with a savepoint/,
  ]) {
    assert.match(frame, part);
  }
});

test('columns of numbers give way to the name when the terminal is narrow', () => {
  const titles = [100, 75, 64, 50, 44, 30].map((columns) =>
    lines(liveView(), columns, 24)
      .find((line) => line.includes('VERTEX'))
      ?.match(/\S+/g),
  );
  assert.deepEqual(titles, [
    ['VERTEX', 'SUBTASKS', 'IN/s', 'OUT/s', 'LOAD', 'RECORDS', 'STATE'],
    ['VERTEX', 'SUBTASKS', 'IN/s', 'OUT/s', 'LOAD', 'RECORDS'],
    ['VERTEX', 'SUBTASKS', 'IN/s', 'OUT/s', 'LOAD'],
    ['VERTEX', 'SUBTASKS', 'IN/s', 'OUT/s'],
    ['VERTEX', 'SUBTASKS', 'IN/s'],
    ['VERTEX', 'SUBTASKS'],
  ]);
});

test('a small terminal keeps header, vertices and checkpoint and gives up tips, events and output in this order', () => {
  const shown = [24, 20, 14, 9].map((rows) => {
    const frame = lines(liveView(), 80, rows).join('\n');
    return ['text → words', 'checkpoint', '─ output', '─ events', '─ things to try'].filter((part) => frame.includes(part))
      .length;
  });
  assert.deepEqual(shown, [5, 4, 3, 2]);
});

test('the newest output is what is shown', () => {
  const frame = lines(liveView({ output: Array.from({ length: 500 }, (_, index) => `line ${index}`) }), 80, 24).join('\n');
  assert.match(frame, /line 499/);
  assert.doesNotMatch(frame, /line 400/);
});

test('a problem stands below the header with its details unbroken', () => {
  const frame = lines(crowded, 80, 24);
  assert.match(frame[2] ?? '', /^ ! word-count\.yaml:12:5: spec\.job\.paralelism/);
  assert.match(frame[3] ?? '', /^ {5}12 \| {5}paralelism: 2$/);
  assert.match(frame[4] ?? '', /^ {8}\| {5}\^$/);
});

test('subtasks that are missing are seen at once', () => {
  const [one] = jobStatus().vertices;
  assert(one);
  const bars = [
    { parallelism: 4, runningSubtasks: 4 },
    { parallelism: 4, runningSubtasks: 1 },
    { parallelism: 4, runningSubtasks: 1, endedSubtasks: 2 },
    { parallelism: 100, runningSubtasks: 99 },
  ].map(
    (counts) =>
      lines(liveView({ status: jobStatus({ vertices: [{ ...one, ...counts }] }) }), 80, 24)
        .find((line) => line.includes('text → words'))
        ?.match(/words +(\S+)/)?.[1],
  );
  assert.deepEqual(bars, ['■■■■', '■□□□', '■▪▪□', '99/100']);
});

test('starting from nothing is said in words', () => {
  const restored = (reason: 'Empty' | 'RequestedNone') =>
    lines(
      liveView({
        status: jobStatus({ restored: { source: 'Nothing', checkpointId: undefined, path: undefined, reason, note: undefined } }),
      }),
      100,
      24,
    ).join('\n');
  assert.match(restored('Empty'), /started from nothing: there was no state yet/);
  assert.match(restored('RequestedNone'), /started from nothing, as asked/);
});

test('without colour no escape sequence is written, with colour each is closed', () => {
  const [header] = render(liveView(), { columns: 80, rows: 24 });
  assert(header);
  assert(!paint(header, false).includes('\x1b'));
  const painted = paint(header, true);
  assert(painted.includes('\x1b[32m'));
  // Each opening sequence has its end: as many ends as half of all.
  assert.equal(painted.split('\x1b[').length - 1, 2 * (painted.split('\x1b[0m').length - 1));
});
