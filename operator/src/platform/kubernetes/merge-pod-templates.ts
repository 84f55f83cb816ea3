import type { PodTemplate, RolePodTemplate } from '../../api/pod-template.ts';

/**
 * What `spec.podTemplate` says for all pods, and what a role says on top of it, as one. Lists are merged by what identifies their entries in a pod, as server-side
 * apply would: there is one variable of a name, one mount at a path. What a role says replaces what is said for all.
 */
export function mergePodTemplates(common: PodTemplate | undefined, role: RolePodTemplate | undefined): PodTemplate {
  const byName = ({ name }: { readonly name: string }) => name;
  return {
    ...common,
    ...withoutUndefined(role),
    labels: { ...common?.labels, ...role?.labels },
    annotations: { ...common?.annotations, ...role?.annotations },
    nodeSelector: { ...common?.nodeSelector, ...role?.nodeSelector },
    securityContext: { ...common?.securityContext, ...withoutUndefined(role?.securityContext) },
    // Several of one key belong together: how long it is tolerated, and which effect.
    tolerations: [
      ...(common?.tolerations ?? []).filter(({ key }) => role?.tolerations?.some((other) => other.key === key) !== true),
      ...(role?.tolerations ?? []),
    ],
    env: merged(common?.env, role?.env, byName),
    // In order: of two that hold the same variable the later one counts.
    envFrom: [...(common?.envFrom ?? []), ...(role?.envFrom ?? [])],
    volumes: merged(common?.volumes, role?.volumes, byName),
    volumeMounts: merged(common?.volumeMounts, role?.volumeMounts, ({ mountPath }) => mountPath),
    containers: merged(common?.containers, role?.containers, byName),
    initContainers: merged(common?.initContainers, role?.initContainers, byName),
  };
}

/** In the order of their first mention; init containers run in it. */
function merged<T>(common: readonly T[] | undefined, role: readonly T[] | undefined, identify: (entry: T) => string): T[] {
  return [...new Map([...(common ?? []), ...(role ?? [])].map((entry) => [identify(entry), entry])).values()];
}

/** A field that is there without a value says nothing. */
function withoutUndefined<T extends object>(object: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(object ?? {}).filter(([, value]) => value !== undefined)) as Partial<T>;
}
