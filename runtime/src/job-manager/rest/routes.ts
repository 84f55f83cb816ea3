import type { OperationStatus } from '../../api/rest.ts';
import type { CheckpointRecord } from '../job-history.ts';
import {
  checkpointConfigDocument,
  checkpointDetailsDocument,
  checkpointsDocument,
  checkpointTaskDocument,
} from './checkpoint-documents.ts';
import { exceptionsDocument } from './exception-documents.ts';
import {
  configDocument,
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
import { type MetricsPorts, metricsRoutes, vertexOf } from './metrics-routes.ts';
import { notFound } from './not-found.ts';
import { CancelBody, invalidRequest, parseBody, SavepointBody, SavepointDisposalBody, StopBody } from './request-bodies.ts';
import type { RestAnswer, RestRequest, Route } from './route.ts';
import type { ServedJob } from './served-job.ts';

/** A stop that was asked for without a deadline, as Flink's clients do. */
const stopDeadlineSecondsDefault = 300;

/** Our job as Flink's REST shows one, and `/v1/status` on top. `newId` makes operation ids for clients that give none. */
export function routesOf(job: ServedJob, ports: MetricsPorts & { readonly newId: () => string }): readonly Route[] {
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
    get('/jobs/:jobId/exceptions', ({ query }) => exceptionsDocument(job, countIn(query, 'maxExceptions'))),
    get('/jobs/:jobId/checkpoints', () => checkpointsDocument(job)),
    get('/jobs/:jobId/checkpoints/config', () => checkpointConfigDocument(job)),
    get('/jobs/:jobId/checkpoints/details/:checkpointId', ({ parameters }) =>
      checkpointDetailsDocument(job, checkpointOf(job, parameters)),
    ),
    get('/jobs/:jobId/checkpoints/details/:checkpointId/subtasks/:vertexId', ({ parameters }) =>
      checkpointTaskDocument(checkpointOf(job, parameters), vertexOf(job, parameters)),
    ),
    ...metricsRoutes(job, ports),
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

function checkpointOf(job: ServedJob, { checkpointId }: RestRequest['parameters']): CheckpointRecord {
  const { checkpoints, latest } = job.history;
  const known = [...checkpoints, latest.completed, latest.savepoint, latest.failed];
  const record = known.find((checkpoint) => String(checkpoint?.id) === checkpointId);
  if (record === undefined) {
    throw notFound(
      `checkpoint ${checkpointId} is not known`,
      'Only the newest checkpoints are kept in memory; `flinkjob lineage DIR` shows what the storage holds.',
    );
  }
  return record;
}

function countIn(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) {
    return undefined;
  }
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) {
    throw invalidRequest(`${name}: '${text}' is no count`, 'Use a whole number from 1.');
  }
  return count;
}

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
