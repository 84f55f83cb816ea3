/**
 * What a change of a spec field means for a job that runs:
 * - `Ignore`: it is used when it is next needed; nothing is touched now.
 * - `Lifecycle`: the job is to be suspended or resumed.
 * - `Scale`: a rollout for another parallelism.
 * - `Restart`: a rollout of a new revision.
 * - `Restore`: a rollout that starts from what the field asks for; going back to `Latest` asks for nothing.
 *
 * Every leaf field has an entry (a test holds this table against the schema); a field without one would be a change that nobody acts on.
 */
export type ChangeMeaning = 'Ignore' | 'Lifecycle' | 'Scale' | 'Restart' | 'Restore';

/** What each of the three pod templates has. A pod cannot be changed, only replaced. */
const podTemplateLeaves = [
  'labels',
  'annotations',
  'nodeSelector',
  'tolerations',
  'affinity',
  'topologySpreadConstraints',
  'priorityClassName',
  'runtimeClassName',
  'schedulerName',
  'securityContext.runAsUser',
  'securityContext.runAsGroup',
  'securityContext.fsGroup',
  'securityContext.supplementalGroups',
  'terminationGracePeriodSeconds',
  'env',
  'envFrom',
  'volumes',
  'volumeMounts',
  'containers',
  'initContainers',
] as const;
const podTemplates = ['podTemplate', 'jobManager.podTemplate', 'taskManager.podTemplate'] as const;
type PodTemplatePath = `${(typeof podTemplates)[number]}.${(typeof podTemplateLeaves)[number]}`;
const ofPodTemplates = Object.fromEntries(
  podTemplates.flatMap((template) => podTemplateLeaves.map((leaf) => [`${template}.${leaf}`, 'Restart'])),
) as Readonly<Record<PodTemplatePath, 'Restart'>>;

export const changeMeanings = {
  engine: 'Restart',
  image: 'Restart',
  'job.module': 'Restart',
  'job.args': 'Restart',
  'job.parallelism': 'Scale',
  'job.maxParallelism': 'Restart',
  'job.desiredState': 'Lifecycle',
  'upgrade.mode': 'Ignore',
  'upgrade.stopTimeoutSeconds': 'Ignore',
  'upgrade.savepointFormat': 'Ignore',
  'upgrade.strategy': 'Ignore',
  'upgrade.rollback.mode': 'Ignore',
  'upgrade.rollback.stableCheckpoints': 'Ignore',
  'upgrade.rollback.deadlineSeconds': 'Ignore',
  'upgrade.rollback.maxRestarts': 'Ignore',
  'upgrade.rollback.lag': 'Ignore',
  'upgrade.rollback.allowRewind': 'Ignore',
  'restore.from': 'Restore',
  'restore.path': 'Restore',
  'restore.token': 'Restore',
  // These are permissions for a start, not wishes for one.
  'restore.adopt.from': 'Ignore',
  'restore.allowDroppedState': 'Ignore',
  'restore.allowNewState': 'Ignore',
  'state.backend': 'Restart',
  'state.checkpointStorage': 'Restart',
  'state.localStorage.size': 'Restart',
  'state.localStorage.storageClassName': 'Restart',
  'state.localStorage.lifetime': 'Restart',
  'checkpoints.intervalSeconds': 'Restart',
  'checkpoints.timeoutSeconds': 'Restart',
  'checkpoints.retain': 'Restart',
  'checkpoints.minPauseSeconds': 'Restart',
  'checkpoints.tolerableFailedCheckpoints': 'Restart',
  'checkpoints.mode': 'Restart',
  // Read when the resource is deleted.
  'checkpoints.onDelete': 'Ignore',
  'checkpoints.deleteTimeoutSeconds': 'Ignore',
  // Of what is beside the job, and never of its processes.
  'savepoints.schedule': 'Ignore',
  'savepoints.timeZone': 'Ignore',
  'savepoints.jitterSeconds': 'Ignore',
  'savepoints.missedRun': 'Ignore',
  'savepoints.startDeadlineSeconds': 'Ignore',
  'savepoints.format': 'Ignore',
  'savepoints.retain': 'Ignore',
  'savepoints.retainSeconds': 'Ignore',
  'savepoints.drill.schedule': 'Ignore',
  'jobManager.restPort': 'Restart',
  'jobManager.resources.requests.cpu': 'Restart',
  'jobManager.resources.requests.memory': 'Restart',
  'jobManager.resources.limits.cpu': 'Restart',
  'jobManager.resources.limits.memory': 'Restart',
  'taskManager.slots': 'Restart',
  'taskManager.replicas': 'Restart',
  'taskManager.spare': 'Restart',
  'taskManager.resources.limits.memory': 'Restart',
  'taskManager.resources.requests.cpu': 'Restart',
  'taskManager.resources.requests.memory': 'Restart',
  'taskManager.resources.limits.cpu': 'Restart',
  ...ofPodTemplates,
  'podTemplate.serviceAccountName': 'Restart',
  'podTemplate.imagePullPolicy': 'Restart',
  'podTemplate.imagePullSecrets': 'Restart',
  'restartStrategy.type': 'Restart',
  'restartStrategy.attempts': 'Restart',
  'restartStrategy.delaySeconds': 'Restart',
  'restartStrategy.initialDelaySeconds': 'Restart',
  'restartStrategy.maxDelaySeconds': 'Restart',
  'restartStrategy.multiplier': 'Restart',
  'restartStrategy.jitterPercent': 'Restart',
  'restartStrategy.resetAfterSeconds': 'Restart',
  'restartStrategy.maxFailuresPerInterval': 'Restart',
  'restartStrategy.intervalSeconds': 'Restart',
  // Read when a job has failed, has finished, and when revisions are cleaned away.
  'recovery.restarts': 'Ignore',
  'recovery.windowSeconds': 'Ignore',
  restartNonce: 'Restart',
  ttlSecondsAfterFinished: 'Ignore',
  revisionHistoryLimit: 'Ignore',
} as const satisfies Readonly<Record<string, ChangeMeaning>>;

export type SpecPath = keyof typeof changeMeanings;
