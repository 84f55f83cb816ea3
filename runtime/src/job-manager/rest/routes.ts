import type { OperationStatus } from '../../api/rest.ts';
import { JobError } from '../../core/job-error.ts';
import {
  checkpointDocument,
  checkpointsDocument,
  configDocument,
  exceptionsDocument,
  jobConfigDocument,
  jobDocument,
  jobsDocument,
  jobsOverviewDocument,
  operationDocument,
  overviewDocument,
  planDocument,
  taskManagerDocument,
  taskManagersDocument,
} from './flink-documents.ts';
import { CancelBody, invalidRequest, parseBody, SavepointBody, SavepointDisposalBody, StopBody } from './request-bodies.ts';
import type { ServedJob } from './served-job.ts';

/** A stop that was asked for without a deadline, as Flink's clients do. */
const stopDeadlineSecondsDefault = 300;

interface RestRequest {
  /** What the `:name` parts of the path stand for, decoded. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: string;
}

export interface RestAnswer {
  readonly status: number;
  readonly document: object;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** `/jobs/:jobId`; a `:name` part matches one part of a path. */
  readonly path: string;
  readonly handle: (request: RestRequest) => RestAnswer;
}

/** Our job as Flink's REST shows one, and `/v1/status` on top. `newId` makes operation ids for clients that give none. */
export function routesOf(
  job: ServedJob,
  ports: { readonly nowMs: () => number; readonly newId: () => string },
): readonly Route[] {
  const { nowMs } = ports;
  const get = (path: string, document: (request: RestRequest) => object): Route => ({
    method: 'GET',
    path,
    handle: (request) => ({ status: 200, document: document(request) }),
  });
  const idOf = (body: { readonly operationId?: string | undefined; readonly triggerId?: string | undefined }) =>
    body.operationId ?? body.triggerId ?? ports.newId();
  return [
    get('/v1/status', () => job.status()),
    get('/overview', () => overviewDocument(job)),
    get('/config', () => configDocument()),
    get('/jobs', () => jobsDocument(job)),
    get('/jobs/overview', () => jobsOverviewDocument(job, nowMs())),
    get('/jobs/:jobId', () => jobDocument(job, nowMs())),
    get('/jobs/:jobId/plan', () => planDocument(job)),
    get('/jobs/:jobId/config', () => jobConfigDocument(job)),
    get('/jobs/:jobId/exceptions', () => exceptionsDocument(job)),
    get('/jobs/:jobId/checkpoints', () => checkpointsDocument(job)),
    get('/jobs/:jobId/checkpoints/details/:checkpointId', ({ parameters }) => checkpointDetails(job, parameters['checkpointId'])),
    get('/jobs/:jobId/savepoints/:operationId', ({ parameters }) => savepointDocument(job, parameters['operationId'])),
    get('/savepoint-disposal/:operationId', ({ parameters }) => disposalDocument(job, parameters['operationId'])),
    get('/v1/savepoints', () => ({ savepoints: job.savepoints() })),
    get('/taskmanagers', () => taskManagersDocument(job)),
    get('/taskmanagers/:taskManagerId', ({ parameters }) => taskManagerDetails(job, parameters['taskManagerId'])),
    {
      method: 'POST',
      path: '/jobs/:jobId/savepoints',
      handle: ({ body }) => {
        const parsed = parseBody(SavepointBody, body);
        const { formatType: stateFormat, reason } = parsed;
        return accepted(job.requestSavepoint({ operationId: idOf(parsed), stateFormat, reason: reason ?? undefined }));
      },
    },
    {
      method: 'POST',
      path: '/savepoint-disposal',
      handle: ({ body }) => {
        const parsed = parseBody(SavepointDisposalBody, body);
        return accepted(job.releaseSavepoint({ operationId: idOf(parsed), path: parsed['savepoint-path'] }));
      },
    },
    {
      method: 'POST',
      path: '/jobs/:jobId/stop',
      handle: ({ body }) => {
        const parsed = parseBody(StopBody, body);
        const deadlineSeconds = parsed.deadlineSeconds ?? stopDeadlineSecondsDefault;
        return accepted(job.requestStop({ operationId: idOf(parsed), deadlineSeconds, stateFormat: parsed.formatType }));
      },
    },
    {
      method: 'PATCH',
      path: '/jobs/:jobId',
      handle: ({ body, query }) => {
        const mode = query.get('mode') ?? 'cancel';
        if (mode !== 'cancel') {
          throw invalidRequest(`mode: '${mode}' is not known`, 'Use mode=cancel, or POST …/stop to stop with a savepoint.');
        }
        return accepted(job.cancel({ operationId: idOf(parseBody(CancelBody, body)) }));
      },
    },
  ];
}

function accepted({ operationId }: OperationStatus): RestAnswer {
  return { status: 202, document: { 'request-id': operationId } };
}

function checkpointDetails(job: ServedJob, id: string | undefined): object {
  const record = job.checkpoints().find((checkpoint) => String(checkpoint.id) === id);
  if (record === undefined) {
    throw notFound(
      `checkpoint ${id} is not known`,
      'Only the newest checkpoints are kept in memory; `flinkjob lineage DIR` shows what the storage holds.',
    );
  }
  return checkpointDocument(job, record);
}

/** Flink's document, and ours about the savepoint as soon as there is one. */
function savepointDocument(job: ServedJob, operationId = ''): object {
  const operation = knownOperation(job, operationId);
  const savepoint = job.savepoints().find(({ location }) => location === operation.location);
  return { ...operationDocument(operation), ...(savepoint === undefined ? {} : { savepoint }) };
}

function disposalDocument(job: ServedJob, operationId = ''): object {
  return operationDocument(knownOperation(job, operationId));
}

function knownOperation(job: ServedJob, operationId: string): OperationStatus {
  const operation = job.operation(operationId);
  if (operation === undefined) {
    throw notFound(
      `operation ${operationId} is not known`,
      'It was never asked for, or so long ago that its outcome is forgotten.',
    );
  }
  return operation;
}

function taskManagerDetails(job: ServedJob, taskManagerId: string | undefined): object {
  const taskManager = job.taskManagers().find((registered) => registered.taskManagerId === taskManagerId);
  if (taskManager === undefined) {
    throw notFound(`TaskManager ${taskManagerId} is not registered`, 'GET /taskmanagers lists those that are.');
  }
  return taskManagerDocument(job, taskManager);
}

export function notFound(message: string, remedy: string): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code: notFoundCode, remedy });
}

export const notFoundCode = 'NotFound';
