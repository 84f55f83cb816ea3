import type { Problem } from '../../api/flink-job-status.ts';
import type { KubernetesObject, ObjectKind } from '../../kubernetes/object-client.ts';
import type { Room } from '../platform.ts';
import { type Demand, parseQuantity } from './pod-demand.ts';

/** Whether a new revision fits into the quotas of its namespace once the one before is gone. Pure. */

export const resourceQuotaKind: ObjectKind = { apiVersion: 'v1', kind: 'ResourceQuota' };

export interface ResourceQuota extends KubernetesObject {
  readonly spec?: {
    readonly scopes?: readonly string[];
    readonly scopeSelector?: { readonly matchExpressions?: readonly ScopeRule[] };
  };
  readonly status?: {
    readonly hard?: Readonly<Record<string, string>>;
    readonly used?: Readonly<Record<string, string>>;
  };
}

interface ScopeRule {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** What an attempt asks for; written on its pre-flight, because by the time of its answer nobody else remembers. */
export interface AttemptDemand {
  readonly jobManager: Demand;
  readonly taskManager: Demand;
  readonly priorityClassName?: string | undefined;
}

/** `leaving`: what is counted now for pods of this job, all of which are gone before the new ones come. Undefined when no quota has a say. */
export function roomIn(quotas: readonly ResourceQuota[], demand: AttemptDemand, leaving: Demand): Room | undefined {
  const limits = quotas.filter((quota) => counts(quota, demand)).flatMap((quota) => limitsOf(quota, demand, leaving));
  return limits.toSorted((a, b) => a.taskManagersMax - b.taskManagersMax)[0];
}

function limitsOf(quota: ResourceQuota, { jobManager, taskManager }: AttemptDemand, leaving: Demand): readonly Room[] {
  const { hard = {}, used = {} } = quota.status ?? {};
  return Object.entries(hard).flatMap(([name, text]) => {
    const each = taskManager[name] ?? 0;
    const first = jobManager[name] ?? 0;
    if (each + first === 0) {
      return [];
    }
    const byOthers = Math.max(0, parseQuantity(used[name] ?? 0) - (leaving[name] ?? 0));
    // Thousandths are as fine as a quota counts; below that is the arithmetic of fractions.
    const left = Math.round((parseQuantity(text) - byOthers) * 1000) / 1000;
    const taskManagersMax = left < first ? 0 : each === 0 ? Number.MAX_SAFE_INTEGER : Math.floor((left - first) / each);
    const message = `quota ${quota.metadata.name} leaves ${shown(left)} of ${name} (${text}) to this job; its JobManager needs ${shown(first)}, each TaskManager ${shown(each)}`;
    const problem: Problem = { code: 'QuotaExceeded', message, remedy: `Raise the quota, or ask for less ${name}.` };
    return [{ taskManagersMax, problem }];
  });
}

const units: readonly (readonly [string, number])[] = [
  ['Gi', 2 ** 30],
  ['Mi', 2 ** 20],
  ['Ki', 2 ** 10],
];

/** As people write amounts: bytes in the largest unit in which they are whole. */
function shown(amount: number): string {
  const [suffix = '', factor = 1] = units.find(([, size]) => Math.abs(amount) >= size && amount % size === 0) ?? [];
  return `${amount / factor}${suffix}`;
}

/** Pods of attempts run without a deadline and always ask for something. A scope that is not known here may leave us out; admission has the last word. */
function counts({ spec }: ResourceQuota, { priorityClassName }: AttemptDemand): boolean {
  const rules = [
    ...(spec?.scopes ?? []).map((scopeName): ScopeRule => ({ scopeName, operator: 'Exists' })),
    ...(spec?.scopeSelector?.matchExpressions ?? []),
  ];
  return rules.every(({ scopeName, operator, values = [] }) => {
    switch (scopeName) {
      case 'NotTerminating':
      case 'NotBestEffort':
        return true;
      case 'PriorityClass':
        return isPriority(priorityClassName, operator, values);
      default:
        return false;
    }
  });
}

function isPriority(name: string | undefined, operator: string, values: readonly string[]): boolean {
  switch (operator) {
    case 'In':
      return name !== undefined && values.includes(name);
    case 'NotIn':
      return name === undefined || !values.includes(name);
    case 'Exists':
      return name !== undefined;
    default:
      return name === undefined;
  }
}
