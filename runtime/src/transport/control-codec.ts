import type { MessageInitShape } from '@bufbuild/protobuf';
import { assert, unreachable } from '../core/assert.ts';
import type {
  Committable,
  KeyedStatePart,
  OperatorListsPart,
  SplitState,
  StateHandle,
  WatermarkFloor,
} from '../core/checkpoint/manifest.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { ErrorDomain, ErrorInfo, ErrorRetry } from '../core/job-error.ts';
import type {
  JobManagerMessage,
  LocalStatePart,
  OperatorListsSlice,
  OperatorSubtaskRestore,
  OperatorSubtaskState,
  SubtaskDeployment,
  SubtaskId,
  SubtaskLocation,
  SubtaskMetrics,
  TaskManagerMessage,
} from '../core/protocol/messages.ts';
import type * as common from '../gen/flinkjob/runtime/v1/common_pb.ts';
import type * as wire from '../gen/flinkjob/runtime/v1/control_pb.ts';

/** Between the unions of the protocol and their wire form; both directions of one shape stand together. */

type TaskManagerInit = MessageInitShape<typeof wire.TaskManagerMessageSchema>;
type JobManagerInit = MessageInitShape<typeof wire.JobManagerMessageSchema>;

export function encodeTaskManagerMessage(message: TaskManagerMessage): TaskManagerInit {
  switch (message.type) {
    case 'Register': {
      const { type: _, localParts, ...value } = message;
      return { message: { case: 'register', value: { ...value, localParts: localParts.map(encodeLocalPart) } } };
    }
    case 'Heartbeat':
      return { message: { case: 'heartbeat', value: { residentSizeBytes: BigInt(message.residentSizeBytes) } } };
    case 'RestoreProgress': {
      const { token, restoredKeyGroups, linkedSizeBytes, fetchedSizeBytes } = message;
      const sizes = { linkedSizeBytes: BigInt(linkedSizeBytes), fetchedSizeBytes: BigInt(fetchedSizeBytes) };
      return { message: { case: 'restoreProgress', value: { token: encodeToken(token), restoredKeyGroups, ...sizes } } };
    }
    case 'Leaving':
      return { message: { case: 'leaving', value: { token: encodeToken(message.token) } } };
    case 'LocalParts':
      return { message: { case: 'localParts', value: { parts: message.parts.map(encodeLocalPart) } } };
    case 'TasksReady':
      return { message: { case: 'tasksReady', value: { token: encodeToken(message.token) } } };
    case 'TaskFailed':
      return {
        message: {
          case: 'taskFailed',
          value: { token: encodeToken(message.token), task: message.task, error: encodeError(message.error) },
        },
      };
    case 'CheckpointAcknowledged':
      return {
        message: {
          case: 'checkpointAcknowledged',
          value: {
            token: encodeToken(message.token),
            checkpointId: BigInt(message.checkpointId),
            task: message.task,
            operators: message.operators.map(encodeOperatorState),
            syncDurationMs: message.syncDurationMs,
            asyncDurationMs: message.asyncDurationMs,
            alignmentDurationMs: message.alignmentDurationMs,
            uploadedSizeBytes: BigInt(message.uploadedSizeBytes),
          },
        },
      };
    case 'CheckpointDeclined':
      return {
        message: {
          case: 'checkpointDeclined',
          value: {
            token: encodeToken(message.token),
            checkpointId: BigInt(message.checkpointId),
            task: message.task,
            error: encodeError(message.error),
          },
        },
      };
    case 'Committed':
      return {
        message: {
          case: 'committed',
          value: { token: encodeToken(message.token), checkpointId: BigInt(message.checkpointId), task: message.task },
        },
      };
    case 'EndOfInput':
      return { message: { case: 'endOfInput', value: { token: encodeToken(message.token), task: message.task } } };
    case 'FilesForgotten':
      return { message: { case: 'filesForgotten', value: encodeFileNames(message) } };
    case 'TasksCanceled':
      return { message: { case: 'tasksCanceled', value: { token: encodeToken(message.token) } } };
    case 'Metrics':
      return {
        message: {
          case: 'metrics',
          value: {
            token: encodeToken(message.token),
            subtasks: message.subtasks.map(encodeSubtaskMetrics),
          },
        },
      };
    case 'ProcessMetrics':
      return { message: { case: 'processMetrics', value: { metrics: message.metrics.map((metric) => ({ ...metric })) } } };
    case 'SourceEventTimes':
      return {
        message: {
          case: 'sourceEventTimes',
          value: {
            token: encodeToken(message.token),
            sources: message.sources.map(({ task, group, minimumMs }) => ({
              task,
              group,
              ...(minimumMs === undefined ? {} : { minimumMs: BigInt(minimumMs) }),
            })),
          },
        },
      };
    default:
      return unreachable(message);
  }
}

export function decodeTaskManagerMessage({ message }: wire.TaskManagerMessage): TaskManagerMessage {
  switch (message.case) {
    case 'register': {
      const { taskManagerId, slots, dataAddress, pid, jobGraphHash, localParts } = message.value;
      return {
        type: 'Register',
        taskManagerId,
        slots,
        dataAddress,
        pid,
        jobGraphHash,
        localParts: localParts.map(decodeLocalPart),
      };
    }
    case 'heartbeat':
      return { type: 'Heartbeat', residentSizeBytes: Number(message.value.residentSizeBytes) };
    case 'restoreProgress': {
      const { token, restoredKeyGroups, linkedSizeBytes, fetchedSizeBytes } = message.value;
      const sizes = { linkedSizeBytes: Number(linkedSizeBytes), fetchedSizeBytes: Number(fetchedSizeBytes) };
      return { type: 'RestoreProgress', token: decodeToken(token), restoredKeyGroups, ...sizes };
    }
    case 'leaving':
      return { type: 'Leaving', token: decodeToken(message.value.token) };
    case 'localParts':
      return { type: 'LocalParts', parts: message.value.parts.map(decodeLocalPart) };
    case 'tasksReady':
      return { type: 'TasksReady', token: decodeToken(message.value.token) };
    case 'taskFailed': {
      const { token, task, error } = message.value;
      return { type: 'TaskFailed', token: decodeToken(token), task: decodeTask(task), error: decodeError(error) };
    }
    case 'checkpointAcknowledged': {
      const { token, checkpointId, task, operators, syncDurationMs, asyncDurationMs } = message.value;
      const { alignmentDurationMs, uploadedSizeBytes } = message.value;
      return {
        type: 'CheckpointAcknowledged',
        token: decodeToken(token),
        checkpointId: Number(checkpointId),
        task: decodeTask(task),
        operators: operators.map(decodeOperatorState),
        syncDurationMs,
        asyncDurationMs,
        alignmentDurationMs,
        uploadedSizeBytes: Number(uploadedSizeBytes),
      };
    }
    case 'checkpointDeclined': {
      const { token, checkpointId, task, error } = message.value;
      return {
        type: 'CheckpointDeclined',
        token: decodeToken(token),
        checkpointId: Number(checkpointId),
        task: decodeTask(task),
        error: decodeError(error),
      };
    }
    case 'committed': {
      const { token, checkpointId, task } = message.value;
      return { type: 'Committed', token: decodeToken(token), checkpointId: Number(checkpointId), task: decodeTask(task) };
    }
    case 'endOfInput':
      return { type: 'EndOfInput', token: decodeToken(message.value.token), task: decodeTask(message.value.task) };
    case 'filesForgotten':
      return { type: 'FilesForgotten', ...decodeFileNames(message.value) };
    case 'tasksCanceled':
      return { type: 'TasksCanceled', token: decodeToken(message.value.token) };
    case 'metrics':
      return {
        type: 'Metrics',
        token: decodeToken(message.value.token),
        subtasks: message.value.subtasks.map(decodeSubtaskMetrics),
      };
    case 'processMetrics':
      return {
        type: 'ProcessMetrics',
        metrics: message.value.metrics.map(({ name, labels, value }) => ({ name, labels: { ...labels }, value })),
      };
    case 'sourceEventTimes':
      return {
        type: 'SourceEventTimes',
        token: decodeToken(message.value.token),
        sources: message.value.sources.map(({ task, group, minimumMs }) => ({
          task: decodeTask(task),
          group,
          minimumMs: minimumMs === undefined ? undefined : Number(minimumMs),
        })),
      };
    case undefined:
      throw new Error('a message of a kind that this version does not know');
    default:
      return unreachable(message);
  }
}

export function encodeJobManagerMessage(message: JobManagerMessage): JobManagerInit {
  switch (message.type) {
    case 'Registered': {
      const { epoch, heartbeatIntervalMs, leaseMs } = message;
      return { message: { case: 'registered', value: { epoch: BigInt(epoch), heartbeatIntervalMs, leaseMs } } };
    }
    case 'RegistrationRefused':
      return { message: { case: 'registrationRefused', value: { error: encodeError(message.error) } } };
    case 'Heartbeat':
      return { message: { case: 'heartbeat', value: { epoch: BigInt(message.epoch) } } };
    case 'Deploy':
      return {
        message: {
          case: 'deploy',
          value: {
            token: encodeToken(message.token),
            deployment: {
              subtasks: message.deployment.subtasks.map(encodeDeployment),
              locations: message.deployment.locations.map((location) => ({ ...location })),
            },
          },
        },
      };
    case 'Start':
      return { message: { case: 'start', value: { token: encodeToken(message.token) } } };
    case 'Cancel':
      return { message: { case: 'cancel', value: { token: encodeToken(message.token) } } };
    case 'TriggerCheckpoint':
      return {
        message: {
          case: 'triggerCheckpoint',
          value: {
            token: encodeToken(message.token),
            checkpointId: BigInt(message.checkpointId),
            directory: message.directory,
            stopSources: message.stopSources,
            isCanonical: message.format === 'Canonical',
            isAtLeastOnce: message.mode === 'AtLeastOnce',
          },
        },
      };
    case 'CheckpointCompleted':
      return {
        message: {
          case: 'checkpointCompleted',
          value: { token: encodeToken(message.token), checkpointId: BigInt(message.checkpointId) },
        },
      };
    case 'CheckpointAborted':
      return {
        message: {
          case: 'checkpointAborted',
          value: { token: encodeToken(message.token), checkpointId: BigInt(message.checkpointId) },
        },
      };
    case 'ForgetFiles':
      return { message: { case: 'forgetFiles', value: encodeFileNames(message) } };
    case 'AlignSources':
      return {
        message: {
          case: 'alignSources',
          value: {
            token: encodeToken(message.token),
            sources: message.sources.map(({ task, othersMinimumMs }) => ({
              task,
              ...(othersMinimumMs === undefined ? {} : { othersMinimumMs: BigInt(othersMinimumMs) }),
            })),
          },
        },
      };
    case 'Prefetch': {
      const parts = message.parts.map(({ part, ...rest }) => ({ ...rest, part: encodeKeyedPart(part) }));
      const { token, checkpointId } = message;
      return { message: { case: 'prefetch', value: { token: encodeToken(token), checkpointId: BigInt(checkpointId), parts } } };
    }
    case 'Leave':
      return { message: { case: 'leave', value: { token: encodeToken(message.token) } } };
    case 'Shutdown':
      return { message: { case: 'shutdown', value: { reason: message.reason, isFinished: message.isFinished } } };
    default:
      return unreachable(message);
  }
}

export function decodeJobManagerMessage({ message }: wire.JobManagerMessage): JobManagerMessage {
  switch (message.case) {
    case 'registered': {
      const { epoch, heartbeatIntervalMs, leaseMs } = message.value;
      return { type: 'Registered', epoch: Number(epoch), heartbeatIntervalMs, leaseMs };
    }
    case 'registrationRefused':
      return { type: 'RegistrationRefused', error: decodeError(message.value.error) };
    case 'heartbeat':
      return { type: 'Heartbeat', epoch: Number(message.value.epoch) };
    case 'deploy': {
      const { token, deployment } = message.value;
      assert(deployment, 'a Deploy message without a deployment');
      return {
        type: 'Deploy',
        token: decodeToken(token),
        deployment: {
          subtasks: deployment.subtasks.map(decodeDeployment),
          locations: deployment.locations.map(decodeLocation),
        },
      };
    }
    case 'start':
      return { type: 'Start', token: decodeToken(message.value.token) };
    case 'cancel':
      return { type: 'Cancel', token: decodeToken(message.value.token) };
    case 'triggerCheckpoint': {
      const { token, checkpointId, directory, stopSources, isCanonical, isAtLeastOnce } = message.value;
      return {
        type: 'TriggerCheckpoint',
        token: decodeToken(token),
        checkpointId: Number(checkpointId),
        directory,
        stopSources,
        format: isCanonical ? 'Canonical' : 'Native',
        mode: isAtLeastOnce ? 'AtLeastOnce' : 'ExactlyOnce',
      };
    }
    case 'checkpointCompleted':
      return {
        type: 'CheckpointCompleted',
        token: decodeToken(message.value.token),
        checkpointId: Number(message.value.checkpointId),
      };
    case 'checkpointAborted':
      return {
        type: 'CheckpointAborted',
        token: decodeToken(message.value.token),
        checkpointId: Number(message.value.checkpointId),
      };
    case 'forgetFiles':
      return { type: 'ForgetFiles', ...decodeFileNames(message.value) };
    case 'alignSources':
      return {
        type: 'AlignSources',
        token: decodeToken(message.value.token),
        sources: message.value.sources.map(({ task, othersMinimumMs }) => ({
          task: decodeTask(task),
          othersMinimumMs: othersMinimumMs === undefined ? undefined : Number(othersMinimumMs),
        })),
      };
    case 'prefetch': {
      const { token, checkpointId, parts } = message.value;
      return {
        ...{ type: 'Prefetch', token: decodeToken(token), checkpointId: Number(checkpointId) },
        parts: parts.map(({ uid, subtaskIndex, part }) => {
          assert(part !== undefined, `a part of '${uid}' to be prefetched is missing`);
          return { uid, subtaskIndex, part: decodeKeyedPart(part) };
        }),
      };
    }
    case 'leave':
      return { type: 'Leave', token: decodeToken(message.value.token) };
    case 'shutdown':
      return { type: 'Shutdown', reason: message.value.reason, isFinished: message.value.isFinished };
    case undefined:
      throw new Error('a message of a kind that this version does not know');
    default:
      return unreachable(message);
  }
}

export function encodeToken(token: FencingToken) {
  return { epoch: BigInt(token.epoch), executionAttempt: BigInt(token.executionAttempt) };
}

export function decodeToken(token: common.FencingToken | undefined): FencingToken {
  assert(token, 'a message without its fencing token');
  return { epoch: Number(token.epoch), executionAttempt: Number(token.executionAttempt) };
}

function decodeTask(task: common.SubtaskId | undefined): SubtaskId {
  assert(task, 'a message without its subtask');
  return { vertexId: task.vertexId, subtaskIndex: task.subtaskIndex };
}

function encodeError({ code, message, domain, retry, remedy, stack }: ErrorInfo) {
  return {
    code,
    message,
    domain,
    retry,
    ...(remedy === undefined ? {} : { remedy }),
    ...(stack === undefined ? {} : { stack }),
  };
}

function decodeError(error: common.ErrorInfo | undefined): ErrorInfo {
  assert(error, 'a message without its error');
  const { code, message, domain, retry, remedy, stack } = error;
  assert(domain === 'user' || domain === 'external' || domain === 'internal', `unknown error domain '${domain}'`);
  assert(retry === 'never' || retry === 'backoff', `unknown error retry '${retry}'`);
  return { code, message, domain: domain satisfies ErrorDomain, retry: retry satisfies ErrorRetry, remedy, stack };
}

function encodeDeployment(deployment: SubtaskDeployment) {
  return { task: deployment.task, slotIndex: deployment.slotIndex, operators: deployment.operators.map(encodeRestore) };
}

function decodeDeployment(deployment: wire.SubtaskDeployment): SubtaskDeployment {
  return {
    task: decodeTask(deployment.task),
    slotIndex: deployment.slotIndex,
    operators: deployment.operators.map(decodeRestore),
  };
}

function decodeLocation(location: wire.SubtaskLocation): SubtaskLocation {
  const { task, taskManagerId, dataAddress, slotIndex } = location;
  return { task: decodeTask(task), taskManagerId, dataAddress, slotIndex };
}

function encodeRestore(restore: OperatorSubtaskRestore) {
  return {
    uid: restore.uid,
    keyedParts: restore.keyedParts.map(encodeKeyedPart),
    splits: restore.splits.map(encodeSplit),
    committables: restore.committables.map(encodeCommittable),
    watermarkFloors: (restore.watermarkFloors ?? []).map(encodeFloor),
    ...(restore.broadcast ? { broadcast: encodeHandle(restore.broadcast) } : {}),
    ...(restore.operatorLists ? { operatorLists: { slices: restore.operatorLists.map(encodeListsSlice) } } : {}),
  };
}

function decodeRestore(restore: wire.OperatorSubtaskRestore): OperatorSubtaskRestore {
  return {
    uid: restore.uid,
    keyedParts: restore.keyedParts.map(decodeKeyedPart),
    splits: restore.splits.map(decodeSplit),
    committables: restore.committables.map(decodeCommittable),
    ...decodeEventTimeAndBroadcast(restore),
    ...(restore.operatorLists ? { operatorLists: restore.operatorLists.slices.map(decodeListsSlice) } : {}),
  };
}

function encodeOperatorState(state: OperatorSubtaskState) {
  return {
    uid: state.uid,
    ...(state.keyed ? { keyed: encodeKeyedPart(state.keyed) } : {}),
    ...(state.splits ? { splits: { splits: state.splits.map(encodeSplit) } } : {}),
    ...(state.committables ? { committables: { committables: state.committables.map(encodeCommittable) } } : {}),
    watermarkFloors: (state.watermarkFloors ?? []).map(encodeFloor),
    ...(state.broadcast ? { broadcast: encodeHandle(state.broadcast) } : {}),
    ...(state.operatorLists ? { operatorLists: encodeListsPart(state.operatorLists) } : {}),
  };
}

function decodeOperatorState(state: wire.OperatorSubtaskState): OperatorSubtaskState {
  return {
    uid: state.uid,
    keyed: state.keyed ? decodeKeyedPart(state.keyed) : undefined,
    splits: state.splits?.splits.map(decodeSplit),
    committables: state.committables?.committables.map(decodeCommittable),
    ...decodeEventTimeAndBroadcast(state),
    ...(state.operatorLists ? { operatorLists: decodeListsPart(state.operatorLists) } : {}),
  };
}

function decodeEventTimeAndBroadcast(message: wire.OperatorSubtaskRestore | wire.OperatorSubtaskState) {
  const { watermarkFloors, broadcast } = message;
  return {
    ...(watermarkFloors.length > 0 ? { watermarkFloors: watermarkFloors.map(decodeFloor) } : {}),
    ...(broadcast ? { broadcast: decodeHandle(broadcast) } : {}),
  };
}

function encodeListsPart({ handle, elementCounts }: OperatorListsPart) {
  return { handle: encodeHandle(handle), elementCounts: elementCounts.map(({ state, count }) => ({ state, count })) };
}

function decodeListsPart({ handle, elementCounts }: wire.OperatorListsPart): OperatorListsPart {
  return { handle: decodeHandle(handle), elementCounts: elementCounts.map(({ state, count }) => ({ state, count })) };
}

function encodeListsSlice({ handle, ranges }: OperatorListsSlice) {
  return { handle: encodeHandle(handle), ranges: ranges.map(({ state, from, to }) => ({ state, from, end: to })) };
}

function decodeListsSlice({ handle, ranges }: wire.OperatorListsSlice): OperatorListsSlice {
  return { handle: decodeHandle(handle), ranges: ranges.map(({ state, from, end }) => ({ state, from, to: end })) };
}

function encodeFloor({ keyGroups, watermarkMs }: WatermarkFloor) {
  return { firstKeyGroup: keyGroups.first, lastKeyGroup: keyGroups.last, watermarkMs: BigInt(watermarkMs) };
}

function decodeFloor({ firstKeyGroup, lastKeyGroup, watermarkMs }: wire.WatermarkFloor): WatermarkFloor {
  return { keyGroups: { first: firstKeyGroup, last: lastKeyGroup }, watermarkMs: Number(watermarkMs) };
}

function encodeLocalPart({ uid, keyGroups, checkpointId, epoch, sizeBytes }: LocalStatePart) {
  return {
    uid,
    firstKeyGroup: keyGroups.first,
    lastKeyGroup: keyGroups.last,
    checkpointId: BigInt(checkpointId),
    epoch: BigInt(epoch),
    sizeBytes: BigInt(sizeBytes),
  };
}

function decodeLocalPart(part: wire.LocalStatePart): LocalStatePart {
  return {
    uid: part.uid,
    keyGroups: { first: part.firstKeyGroup, last: part.lastKeyGroup },
    checkpointId: Number(part.checkpointId),
    epoch: Number(part.epoch),
    sizeBytes: Number(part.sizeBytes),
  };
}

type FileNames = Pick<Extract<JobManagerMessage, { type: 'ForgetFiles' }>, 'token' | 'requestId' | 'names'>;

function encodeFileNames({ token, requestId, names }: FileNames) {
  return { token: encodeToken(token), requestId: BigInt(requestId), names: [...names] };
}

function decodeFileNames({ token, requestId, names }: wire.ForgetFiles | wire.FilesForgotten): FileNames {
  return { token: decodeToken(token), requestId: Number(requestId), names };
}

function encodeSubtaskMetrics(subtask: SubtaskMetrics) {
  const { task, busyMs, backPressuredMs, idleMs, watermarkMs, operators } = subtask;
  return {
    task,
    recordsIn: BigInt(subtask.recordsIn),
    recordsOut: BigInt(subtask.recordsOut),
    stateSizeBytes: BigInt(subtask.stateSizeBytes),
    lateRecordsDropped: BigInt(subtask.lateRecordsDropped),
    bytesIn: BigInt(subtask.bytesIn),
    bytesOut: BigInt(subtask.bytesOut),
    busyMs,
    backPressuredMs,
    idleMs,
    inputQueueLength: subtask.inputQueueLength,
    outputQueueLength: subtask.outputQueueLength,
    ...(watermarkMs === undefined ? {} : { watermarkMs: BigInt(watermarkMs) }),
    operators: operators.map(({ uid, name, kind, value }) => ({ uid, name, isCounter: kind === 'Counter', value })),
  };
}

function decodeSubtaskMetrics(subtask: wire.SubtaskMetrics): SubtaskMetrics {
  const { task, busyMs, backPressuredMs, idleMs, watermarkMs, operators } = subtask;
  return {
    task: decodeTask(task),
    recordsIn: Number(subtask.recordsIn),
    recordsOut: Number(subtask.recordsOut),
    stateSizeBytes: Number(subtask.stateSizeBytes),
    lateRecordsDropped: Number(subtask.lateRecordsDropped),
    bytesIn: Number(subtask.bytesIn),
    bytesOut: Number(subtask.bytesOut),
    busyMs,
    backPressuredMs,
    idleMs,
    inputQueueLength: subtask.inputQueueLength,
    outputQueueLength: subtask.outputQueueLength,
    watermarkMs: watermarkMs === undefined ? undefined : Number(watermarkMs),
    operators: operators.map(({ uid, name, isCounter, value }) => ({ uid, name, kind: isCounter ? 'Counter' : 'Gauge', value })),
  };
}

function encodeKeyedPart(part: KeyedStatePart) {
  return {
    firstKeyGroup: part.keyGroups.first,
    lastKeyGroup: part.keyGroups.last,
    handle: encodeHandle(part.handle),
    backend: part.backend,
    files: part.files.map(({ name, handle }) => ({ name, handle: encodeHandle(handle) })),
  };
}

function decodeKeyedPart(part: wire.KeyedStatePart): KeyedStatePart {
  const { backend } = part;
  assert(backend === 'HashMap' || backend === 'RocksDB' || backend === 'Canonical', `a state part of the backend '${backend}'`);
  return {
    keyGroups: { first: part.firstKeyGroup, last: part.lastKeyGroup },
    handle: decodeHandle(part.handle),
    backend,
    files: part.files.map(({ name, handle }) => ({ name, handle: decodeHandle(handle) })),
  };
}

function encodeHandle(handle: StateHandle): MessageInitShape<typeof wire.StateHandleSchema> {
  if (handle.type === 'inline') {
    return { handle: { case: 'inline', value: Uint8Array.from(Buffer.from(handle.base64, 'base64')) } };
  }
  const { path, sizeBytes, sha256 } = handle;
  return { handle: { case: 'file', value: { path, sizeBytes: BigInt(sizeBytes), sha256 } } };
}

function decodeHandle(message: wire.StateHandle | undefined): StateHandle {
  const handle = message?.handle;
  assert(handle?.case, 'a state part without its handle');
  if (handle.case === 'inline') {
    return { type: 'inline', base64: Buffer.from(handle.value).toString('base64') };
  }
  const { path, sizeBytes, sha256 } = handle.value;
  return { type: 'file', path, sizeBytes: Number(sizeBytes), sha256 };
}

function encodeSplit({ splitId, positionBase64, maxTimestampMs }: SplitState) {
  return {
    splitId,
    position: Uint8Array.from(Buffer.from(positionBase64, 'base64')),
    ...(maxTimestampMs === undefined ? {} : { maxTimestampMs: BigInt(maxTimestampMs) }),
  };
}

function decodeSplit({ splitId, position, maxTimestampMs }: wire.SplitState): SplitState {
  return {
    splitId,
    positionBase64: Buffer.from(position).toString('base64'),
    ...(maxTimestampMs === undefined ? {} : { maxTimestampMs: Number(maxTimestampMs) }),
  };
}

function encodeCommittable(committable: Committable) {
  return { checkpointId: BigInt(committable.checkpointId), dataJson: JSON.stringify(committable.data ?? null) };
}

function decodeCommittable(committable: wire.Committable): Committable {
  return { checkpointId: Number(committable.checkpointId), data: JSON.parse(committable.dataJson) };
}
