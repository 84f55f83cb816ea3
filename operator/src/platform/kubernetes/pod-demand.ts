/**
 * What pods count for against a ResourceQuota, by the names that a quota has for it. Pure. Amounts are numbers: cores, bytes, pieces; what a quota cannot tell apart from more precise
 * arithmetic does not matter here.
 */
export type Demand = Readonly<Record<string, number>>;

/** As much of a pod's spec as is counted, whoever wrote it. */
interface CountedPodSpec {
  readonly containers?: readonly CountedContainer[];
  readonly initContainers?: readonly CountedContainer[];
  readonly overhead?: Amounts;
  readonly volumes?: readonly object[];
}

interface CountedContainer {
  readonly restartPolicy?: string;
  readonly resources?: { readonly requests?: Amounts; readonly limits?: Amounts };
}

type Amounts = Readonly<Record<string, string | number>>;

/** Of a PersistentVolumeClaim's spec. */
export interface CountedClaimSpec {
  readonly storageClassName?: string | undefined;
  readonly resources?: { readonly requests?: { readonly storage?: string | number | undefined } | undefined } | undefined;
}

const factors: Readonly<Record<string, number>> = {
  ...{ n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 },
};

/** A Kubernetes quantity: `100m`, `1.5Gi`, `2e3`, 3. NaN when it is none. */
export function parseQuantity(quantity: string | number): number {
  const [, digits, suffix = ''] = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)$/.exec(String(quantity)) ?? [];
  return digits === undefined ? Number.NaN : Number(digits) * (factors[suffix] ?? Number.NaN);
}

/** Of one pod, by its spec, with the volumes that are made for it. */
export function demandOfPod(podSpec: object): Demand {
  const spec = podSpec as CountedPodSpec;
  const requests = amountsOf(spec, (container) => withLimitsAsRequests(container));
  const limits = amountsOf(spec, ({ resources }) => resources?.limits ?? {});
  const named = (prefix: string, amounts: Demand) =>
    Object.entries(amounts).map(([name, amount]) => [`${prefix}${name}`, amount]);
  const claims = (spec.volumes ?? []).flatMap((volume) => ephemeralClaimOf(volume) ?? []);
  return sum([
    { pods: 1, 'count/pods': 1 },
    Object.fromEntries([...named('requests.', requests), ...named('', requests), ...named('limits.', limits)]),
    ...claims.map(demandOfClaim),
  ]);
}

export function demandOfClaim({ storageClassName, resources }: CountedClaimSpec): Demand {
  const storage = parseQuantity(resources?.requests?.storage ?? 0);
  const ofClass = `${storageClassName}.storageclass.storage.k8s.io`;
  return {
    ...{ 'requests.storage': storage, persistentvolumeclaims: 1, 'count/persistentvolumeclaims': 1 },
    ...(storageClassName === undefined
      ? {}
      : { [`${ofClass}/requests.storage`]: storage, [`${ofClass}/persistentvolumeclaims`]: 1 }),
  };
}

export function sum(demands: readonly Demand[]): Demand {
  const total: Record<string, number> = {};
  for (const [name, amount] of demands.flatMap((demand) => Object.entries(demand))) {
    total[name] = (total[name] ?? 0) + amount;
  }
  return total;
}

export function times(count: number, demand: Demand): Demand {
  return Object.fromEntries(Object.entries(demand).map(([name, amount]) => [name, amount * count]));
}

/** The API server fills a request in from its limit. */
function withLimitsAsRequests({ resources }: CountedContainer): Amounts {
  return { ...resources?.limits, ...resources?.requests };
}

/** All containers run at once, and before that one init container after the other; those that are restarted stay. The larger of the two counts. */
function amountsOf(spec: CountedPodSpec, of: (container: CountedContainer) => Amounts): Demand {
  const numbers = (container: CountedContainer): Demand =>
    Object.fromEntries(Object.entries(of(container)).map(([name, quantity]) => [name, parseQuantity(quantity)]));
  let staying: Demand = {};
  let peak: Demand = {};
  for (const container of spec.initContainers ?? []) {
    const now = sum([staying, numbers(container)]);
    peak = larger(peak, now);
    staying = container.restartPolicy === 'Always' ? now : staying;
  }
  const running = sum([staying, ...(spec.containers ?? []).map(numbers)]);
  const overhead = Object.fromEntries(Object.entries(spec.overhead ?? {}).map(([name, it]) => [name, parseQuantity(it)]));
  return sum([larger(peak, running), overhead]);
}

function larger(a: Demand, b: Demand): Demand {
  return Object.fromEntries([...Object.keys(a), ...Object.keys(b)].map((name) => [name, Math.max(a[name] ?? 0, b[name] ?? 0)]));
}

function ephemeralClaimOf(volume: object): CountedClaimSpec | undefined {
  const { ephemeral } = volume as {
    readonly ephemeral?: { readonly volumeClaimTemplate?: { readonly spec?: CountedClaimSpec } };
  };
  return ephemeral?.volumeClaimTemplate?.spec;
}
