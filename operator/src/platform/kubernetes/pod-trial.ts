import type { Problem } from '../../api/flink-job-status.ts';
import { ApiError } from '../../kubernetes/api-error.ts';
import type { KubernetesObject, ObjectClient } from '../../kubernetes/object-client.ts';
import { kinds, type PodTemplateSpec } from './kubernetes-objects.ts';

/**
 * What the API server says to a pod before there is one: a pod that a workload may not make is otherwise seen only as one that does not come. Nothing is stored, and no controller
 * hears of it. Quotas are looked at too, as they are now; whether that counts is the caller's to say.
 */
export interface PodTrial {
  /** `JobManager`, for people. */
  readonly of: string;
  readonly template: PodTemplateSpec;
  /** The pods that fill the quota now are gone before this one comes. */
  readonly ignoreQuota: boolean;
}

/** Why it would be refused; undefined when it would not, or when that cannot be tried out. Throws what an API server that is not well answers. */
export async function tryPod(
  client: ObjectClient,
  place: { readonly namespace: string; readonly name: string },
  { of, template, ignoreQuota }: PodTrial,
): Promise<Problem | undefined> {
  const pod: KubernetesObject & { readonly spec: object } = {
    ...kinds.pod,
    metadata: { ...template.metadata, ...place },
    spec: template.spec,
  };
  try {
    await client.tryCreate(pod);
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError) || !isVerdict(error)) {
      throw error;
    }
    if (cannotBeTried(error) || (ignoreQuota && /exceeded quota/.test(error.message))) {
      return undefined;
    }
    const { code, remedy } = kindOf(error);
    return { code, message: `a pod of the ${of} would be refused: ${error.message}`, remedy };
  }
}

/** Not the server's own trouble, nor a request that has to wait. */
function isVerdict({ status }: ApiError): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 408 && status !== 429;
}

/** The rights are those of an older chart, or a webhook is not made for trials: then the workload is simply made. */
function cannotBeTried({ message }: ApiError): boolean {
  return /cannot create resource "pods"|does not support dry run/.test(message);
}

const verdicts: readonly (Pick<Problem, 'code' | 'remedy'> & { readonly pattern: RegExp })[] = [
  {
    pattern: /exceeded quota|failed quota/,
    code: 'QuotaExceeded',
    remedy: 'Raise the quota of the namespace, ask for less in resources, or suspend the job before it is changed.',
  },
  {
    pattern: /violates PodSecurity/,
    code: 'PodSecurityViolated',
    remedy: 'Correct spec.podTemplate: the namespace enforces a Pod Security Standard.',
  },
  {
    pattern: /(minimum|maximum) .* usage per|limit to request ratio/,
    code: 'LimitRangeViolated',
    remedy: 'Keep resources within the limit ranges of the namespace.',
  },
  {
    pattern: /admission webhook|ValidatingAdmissionPolicy/,
    code: 'AdmissionDenied',
    remedy: 'Ask whoever runs that policy, or change what it objects to.',
  },
  {
    pattern: /service account|serviceaccount/,
    code: 'ServiceAccountMissing',
    remedy: 'Create the service account that spec.podTemplate.serviceAccountName names, or correct the name.',
  },
];

function kindOf({ message, status }: ApiError): Pick<Problem, 'code' | 'remedy'> {
  const known = verdicts.find(({ pattern }) => pattern.test(message));
  if (known !== undefined) {
    return known;
  }
  return status === 400 || status === 422
    ? { code: 'PodTemplateInvalid', remedy: 'Correct what spec.podTemplate says; the API server names the field of the pod.' }
    : { code: 'PodRefused', remedy: 'Look at the quota, the limit ranges and the admission rules of the namespace.' };
}
