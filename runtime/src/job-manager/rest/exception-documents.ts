import type { ExceptionDocument, ExceptionEntryDocument, ExceptionsDocument } from '../../api/rest-documents.ts';
import type { ExceptionRecord } from '../job-history.ts';
import type { ServedJob } from './served-job.ts';

/** As in Flink: unless the request says how many. */
const exceptionCountDefault = 20;
/** A stack of a hundred frames is half of it. */
const stacktraceLengthMax = 16_384;

/** What failed, newest restart first; the failures of one attempt together, the one that ended it as the entry. */
export function exceptionsDocument(job: ServedJob, countMax: number = exceptionCountDefault): ExceptionsDocument {
  const attempts = groupByAttempt(job.history.exceptions).toReversed();
  const entries = attempts.slice(0, countMax).map(([root, ...others]): ExceptionEntryDocument => {
    return { ...exceptionDocument(job, root), concurrentExceptions: others.map((each) => exceptionDocument(job, each)) };
  });
  const truncated = attempts.length > countMax;
  return {
    'root-exception': entries[0]?.stacktrace ?? null,
    timestamp: entries[0]?.timestamp ?? null,
    'all-exceptions': [],
    truncated,
    exceptionHistory: { entries, truncated },
  };
}

type Attempt = readonly [ExceptionRecord, ...ExceptionRecord[]];

function groupByAttempt(records: readonly ExceptionRecord[]): readonly Attempt[] {
  const attempts: [ExceptionRecord, ...ExceptionRecord[]][] = [];
  for (const record of records) {
    const last = attempts.at(-1);
    // What fails before there is an attempt, such as finding the splits, fails alone.
    if (
      last !== undefined &&
      (record.task ?? record.taskManagerId) !== undefined &&
      last[0].executionAttempt === record.executionAttempt
    ) {
      last.push(record);
    } else {
      attempts.push([record]);
    }
  }
  return attempts;
}

function exceptionDocument(job: ServedJob, record: ExceptionRecord): ExceptionDocument {
  const { atMs, error, task, taskManagerId, executionAttempt } = record;
  const vertex = job.graph.vertices.find(({ id }) => id === task?.vertexId);
  const place = task && `(${task.subtaskIndex + 1}/${vertex?.parallelism ?? '?'}) - execution #${executionAttempt}`;
  const endpoint = job.taskManagers().find((each) => each.taskManagerId === taskManagerId)?.dataAddress;
  return {
    exceptionName: error.code,
    stacktrace: cut(error.stack ?? error.message),
    timestamp: atMs,
    taskName: task === undefined ? null : `${vertex?.name ?? task.vertexId} ${place}`,
    endpoint: endpoint ?? null,
    taskManagerId: taskManagerId ?? null,
    failureLabels: { domain: error.domain, retry: error.retry },
  };
}

function cut(text: string): string {
  return text.length <= stacktraceLengthMax
    ? text
    : `${text.slice(0, stacktraceLengthMax)}\n… cut after ${stacktraceLengthMax} characters`;
}
