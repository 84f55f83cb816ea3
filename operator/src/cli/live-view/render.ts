import type { CheckpointSummary, VertexLoad, VertexStatus } from '@flinkjob/runtime/rest';
import { formatAge, formatBytes, formatCount, formatDuration, formatRate, formatTime, plural } from '../format.ts';
import { sparkline, vertexRate } from './rates.ts';
import type { Line, Segment, Tone } from './style.ts';
import { fit, printable, textWidth, truncate, wrap } from './text-width.ts';
import type { LiveView, ViewEvent } from './view-state.ts';

/**
 * Pure: state and size → at most `rows` lines, each at most `columns` wide. What matters most stays when the terminal is small: header,
 * problem, vertices, checkpoint; then the output, the events, the tips.
 */
export function render(view: LiveView, size: { readonly columns: number; readonly rows: number }): readonly Line[] {
  const columns = Math.max(20, size.columns);
  const rows = Math.max(5, size.rows);
  const top: Line[] = [...header(view, columns), ...problem(view, columns, rows)];
  const roomy = rows >= 20;
  if (roomy) {
    top.push([]);
  }
  top.push(...vertexTable(view, columns, Math.max(1, Math.floor(rows / 3))));
  if (roomy) {
    top.push([]);
  }
  top.push(...vitals(view, columns));
  const footer: Line = [{ text: truncate(` ${view.footer}`, columns), tone: 'quiet' }];
  const free = rows - top.length - 1;
  // A newcomer's terminal has 24 rows and has to show them.
  const tips = free >= view.tips.length + 8 ? tipLines(view.tips, columns) : [];
  const lower = lowerSections(view, columns, free - tips.length);
  const body = [...top, ...lower].slice(0, rows - 1 - tips.length);
  const filler: Line[] = Array.from({ length: rows - 1 - tips.length - body.length }, () => []);
  return [...body, ...filler, ...tips, footer];
}

function header(view: LiveView, columns: number): Line[] {
  const { label, tone, sinceMs } = view.state;
  const since = sinceMs === undefined ? '' : `for ${formatAge(view.nowMs - sinceMs)} `;
  const first = spread(
    [
      { text: ' ● ', tone },
      { text: label, tone },
      { text: `  ${view.namespace}/`, tone: 'quiet' },
      { text: view.name, tone: 'strong' },
    ],
    [{ text: since, tone: 'quiet' }],
    columns,
  );
  const { status } = view;
  const facts = [
    status === undefined ? '' : `parallelism ${status.parallelism}`,
    status === undefined
      ? ''
      : `${plural(status.taskManagers.registered, 'TaskManager')}, ${plural(status.taskManagers.slotsTotal, 'slot')}`,
    view.attempt === undefined ? '' : `attempt ${view.attempt}`,
    view.revision === undefined ? '' : `revision ${view.revision}`,
    status?.epoch === undefined ? '' : `epoch ${status.epoch}`,
  ];
  return [first, [{ text: truncate(`   ${joinFitting(facts.filter(Boolean), columns - 3)}`, columns), tone: 'quiet' }]];
}

/** What does not fit as a whole is left out, from the end. */
function joinFitting(facts: readonly string[], columns: number): string {
  const joined = facts.join(' · ');
  return facts.length <= 1 || textWidth(joined) <= columns ? joined : joinFitting(facts.slice(0, -1), columns);
}

/** Left and right aligned; the right part gives way. */
function spread(left: Line, right: Line, columns: number): Line {
  const leftWidth = widthOf(left);
  const rightWidth = widthOf(right);
  if (leftWidth + rightWidth + 1 > columns) {
    return cut(left, columns);
  }
  return [...left, { text: ' '.repeat(columns - leftWidth - rightWidth), tone: 'plain' }, ...right];
}

function widthOf(line: Line): number {
  return line.reduce((width, { text }) => width + textWidth(text), 0);
}

function cut(line: Line, columns: number): Line {
  const kept: Segment[] = [];
  let left = columns;
  for (const segment of line) {
    const text = truncate(segment.text, left);
    kept.push({ ...segment, text });
    left -= textWidth(text);
    if (text !== segment.text || left <= 0) {
      break;
    }
  }
  return kept;
}

function problem(view: LiveView, columns: number, rows: number): Line[] {
  const [what, ...details] = view.problem;
  if (what === undefined) {
    return [];
  }
  const linesMax = Math.max(2, Math.floor(rows / 4));
  const lines: Line[] = wrap(printable(what), columns - 4).map((text, index) => [
    { text: index === 0 ? ' ! ' : '   ', tone: 'bad' },
    { text, tone: 'bad' },
  ]);
  // Details may be a quoted source line with a mark below it: their spaces stay.
  lines.push(...details.map((text): Line => [{ text: truncate(`   ${printable(text)}`, columns), tone: 'plain' }]));
  return lines.slice(0, linesMax);
}

const numberColumns = [
  { title: 'IN/s', width: 9 },
  { title: 'OUT/s', width: 9 },
  { title: 'LOAD', width: 11 },
  { title: 'RECORDS', width: 11 },
  { title: 'STATE', width: 10 },
] as const;

/** Number columns go from the right when the terminal is narrow; the vertex's name keeps at least so much. */
const nameWidthMin = 16;
const subtasksWidth = 10;

function vertexTable(view: LiveView, columns: number, rowsMax: number): Line[] {
  const vertices = view.status?.vertices ?? [];
  if (vertices.length === 0) {
    return [];
  }
  let shownColumns = numberColumns.length;
  const taken = () => 3 + subtasksWidth + numberColumns.slice(0, shownColumns).reduce((sum, { width }) => sum + width, 0);
  while (shownColumns > 0 && columns - taken() < nameWidthMin) {
    shownColumns--;
  }
  const longest = Math.max(...vertices.map(({ name }) => textWidth(printable(name))));
  const nameWidth = Math.max(1, Math.min(columns - taken(), Math.max(longest + 2, nameWidthMin)));
  const titles = numberColumns.slice(0, shownColumns).map(({ title, width }) => fit(title, width, 'right'));
  const lines: Line[] = [
    [
      {
        text: cutText(`   ${fit('VERTEX', nameWidth)}${fit('SUBTASKS', subtasksWidth)}${titles.join('')}`, columns),
        tone: 'quiet',
      },
    ],
  ];
  const shown = vertices.length > rowsMax ? vertices.slice(0, rowsMax - 1) : vertices;
  for (const vertex of shown) {
    lines.push(cut(vertexRow(view, vertex, { nameWidth, shownColumns }), columns));
  }
  if (shown.length < vertices.length) {
    lines.push([
      {
        text: truncate(`   … and ${vertices.length - shown.length} more`, columns),
        tone: 'quiet',
      },
    ]);
  }
  return lines;
}

function cutText(text: string, columns: number): string {
  return truncate(text.trimEnd(), columns);
}

function vertexRow(
  view: LiveView,
  vertex: VertexStatus,
  layout: { readonly nameWidth: number; readonly shownColumns: number },
): Line {
  const running = view.status?.state === 'Running' || view.status?.state === 'Stopping' || view.status?.state === 'Finishing';
  const rate = running ? vertexRate(view.rates, vertex.id) : undefined;
  const numbers = [
    formatRate(rate?.recordsInPerSecond),
    formatRate(rate?.recordsOutPerSecond),
    running ? formatLoad(vertex.load) : '',
    formatCount(Math.max(vertex.recordsIn, vertex.recordsOut)),
    vertex.stateSizeBytes > 0 ? formatBytes(vertex.stateSizeBytes) : '',
  ];
  const cells = numbers.slice(0, layout.shownColumns).map((text, index) => fit(text, numberColumns[index]?.width ?? 0, 'right'));
  const subtasks = subtaskBar(vertex);
  return [
    { text: `   ${fit(printable(vertex.name).replaceAll('->', '→'), layout.nameWidth)}`, tone: 'plain' },
    { text: fit(subtasks.text, subtasksWidth), tone: subtasks.tone },
    { text: cells.join(''), tone: 'plain' },
  ];
}

/** Above it, as in Flink, a vertex is held up by those behind it, and how busy it is says little. */
const backPressuredRatioMin = 0.1;

/** Of the subtask that has most of it. */
export function formatLoad(load: VertexLoad | undefined): string {
  if (load === undefined) {
    return '–';
  }
  const { backPressuredRatio, busyRatio } = load;
  return backPressuredRatio > backPressuredRatioMin ? `backpr ${percent(backPressuredRatio)}` : `busy ${percent(busyRatio)}`;
}

function percent(ratio: number): string {
  return `${Math.round(Math.min(1, ratio) * 100)}%`;
}

/** What the sources have not read yet, as far as they know; empty when they do not. */
export function formatBacklog(vertices: readonly VertexStatus[]): string {
  const loads = vertices.flatMap(({ load }) => load ?? []);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const records = sum(loads.flatMap(({ pendingRecords }) => pendingRecords ?? []));
  const sizeBytes = sum(loads.flatMap(({ pendingBytes }) => pendingBytes ?? []));
  const lagMs = Math.max(0, ...loads.flatMap(({ eventTimeLagMs }) => eventTimeLagMs ?? []));
  return [
    records > 0 ? `${formatCount(records)} records to read` : '',
    sizeBytes > 0 ? `${formatBytes(sizeBytes)} to read` : '',
    lagMs > 0 ? `records are ${formatDuration(lagMs)} old` : '',
  ]
    .filter(Boolean)
    .join(' · ');
}

/** One square per subtask, filled while it runs; numbers when there are many. */
function subtaskBar(vertex: VertexStatus): { readonly text: string; readonly tone: Tone } {
  const { parallelism, runningSubtasks, endedSubtasks } = vertex;
  const alive = runningSubtasks + endedSubtasks;
  const tone = alive === parallelism ? 'good' : runningSubtasks === 0 ? 'bad' : 'busy';
  if (parallelism > subtasksWidth - 2) {
    return { text: `${runningSubtasks}/${parallelism}`, tone };
  }
  const missing = Math.max(0, parallelism - alive);
  return { text: `${'■'.repeat(runningSubtasks)}${'▪'.repeat(endedSubtasks)}${'□'.repeat(missing)}`, tone };
}

function vitals(view: LiveView, columns: number): Line[] {
  const { status } = view;
  if (status === undefined) {
    return [];
  }
  const lines: Line[] = [];
  const current = view.rates.throughput.at(-1);
  if (current !== undefined) {
    const rate = fit(`${formatRate(current)} records/s`, 18);
    const bars = sparkline(view.rates.throughput, Math.min(60, columns - 36));
    lines.push(
      labelled(
        'throughput',
        [
          { text: rate, tone: 'plain' },
          { text: bars, tone: 'accent' },
        ],
        columns,
      ),
    );
  }
  const backlog = formatBacklog(status.vertices);
  if (backlog !== '') {
    lines.push(labelled('sources', [{ text: backlog, tone: 'plain' }], columns));
  }
  lines.push(labelled('checkpoint', checkpointSegments(view, status.lastCheckpoint), columns));
  const { failed, inProgress } = status.checkpointCounts;
  const counts = [
    plural(status.restarts, 'restart'),
    failed > 0 ? `${plural(failed, 'checkpoint')} failed` : '',
    inProgress > 0 ? 'checkpoint under way' : '',
    status.restored === undefined ? '' : restoredText(status.restored),
  ];
  lines.push(
    labelled(
      'since start',
      [{ text: counts.filter(Boolean).join(' · '), tone: status.restarts + failed > 0 ? 'busy' : 'plain' }],
      columns,
    ),
  );
  return lines;
}

function restoredText(restored: {
  readonly source: string;
  readonly checkpointId: number | undefined;
  readonly reason: string;
}): string {
  if (restored.source === 'Nothing') {
    return restored.reason === 'RequestedNone'
      ? 'started from nothing, as asked'
      : 'started from nothing: there was no state yet';
  }
  return `continued from ${restored.source.toLowerCase()} ${restored.checkpointId ?? ''}`.trimEnd();
}

function labelled(label: string, content: Line, columns: number): Line {
  return cut([{ text: `   ${fit(label, 13)}`, tone: 'quiet' }, ...content], columns);
}

function checkpointSegments(view: LiveView, last: CheckpointSummary | undefined): Line {
  if (last === undefined) {
    return [{ text: 'none yet', tone: 'quiet' }];
  }
  const completed = view.status?.checkpointCounts.completed ?? 0;
  const parts = [
    last.kind === 'Savepoint' ? 'savepoint' : '',
    `${formatAge(view.nowMs - last.completedAtMs)} ago`,
    `took ${formatDuration(last.completedAtMs - last.triggeredAtMs)}`,
    formatSizes(last),
    `${formatCount(completed)} completed`,
  ];
  return [
    { text: `#${last.id}`, tone: 'strong' },
    { text: `  ${parts.filter(Boolean).join(' · ')}`, tone: 'plain' },
  ];
}

/** In full, and how much of it is new, where that is less. */
export function formatSizes({ sizeBytes, deltaSizeBytes = sizeBytes }: CheckpointSummary): string {
  const full = formatBytes(sizeBytes);
  return deltaSizeBytes < sizeBytes ? `${full}, ${formatBytes(deltaSizeBytes)} new` : full;
}

function tipLines(tips: readonly string[], columns: number): Line[] {
  return tips.length === 0
    ? []
    : [rule('things to try', columns), ...tips.map((tip): Line => [{ text: truncate(`   ${tip}`, columns), tone: 'plain' }])];
}

/** Events get a quarter of the room, at least three lines while there are as many; the output has the rest. */
function lowerSections(view: LiveView, columns: number, rows: number): Line[] {
  if (rows < 3) {
    return [];
  }
  const lines: Line[] = [];
  const eventRows =
    view.events.length === 0 || rows < 8 ? 0 : Math.min(view.events.length, Math.max(3, Math.floor(rows / 4) - 1));
  if (eventRows > 0) {
    lines.push(rule('events', columns), ...view.events.slice(-eventRows).map((event) => eventLine(event, columns)));
  }
  const outputRows = rows - lines.length - 1;
  lines.push(rule('output', columns));
  const output = view.output.slice(-outputRows);
  if (output.length === 0 && outputRows > 0) {
    lines.push([{ text: truncate('   nothing printed yet', columns), tone: 'quiet' }]);
  }
  return [...lines, ...output.map((text): Line => [{ text: truncate(`   ${printable(text)}`, columns), tone: 'plain' }])];
}

function eventLine(event: ViewEvent, columns: number): Line {
  return cut(
    [
      { text: `   ${formatTime(event.atMs)}  `, tone: 'quiet' },
      { text: `${event.reason}  `, tone: event.tone },
      { text: printable(event.message), tone: 'plain' },
    ],
    columns,
  );
}

function rule(title: string, columns: number): Line {
  return [{ text: truncate(` ─ ${title} ${'─'.repeat(Math.max(0, columns - title.length - 5))}`, columns), tone: 'quiet' }];
}
