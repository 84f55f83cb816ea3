import { ApiError } from '../kubernetes/api-error.ts';
import { createObjectClient } from '../kubernetes/api-object-client.ts';
import type { MirrorOptions } from '../kubernetes/mirror-options.ts';
import type { KubernetesObject, ObjectClient } from '../kubernetes/object-client.ts';
import { Reflector } from '../kubernetes/reflector.ts';
import type { DefaultsSource } from './defaults-source.ts';
import { defaultsName, type NamespaceDefaults, parseDefaults } from './parse-defaults.ts';

interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

const configMaps = { apiVersion: 'v1', kind: 'ConfigMap' };

/** Who may not read them is not asked about them in every pass over every job, and learns of new rights all the same. */
const forbiddenForMs = 60_000;

/**
 * The ConfigMap `flinkjob-defaults` of each namespace. It comes from a mirror, which costs no request; before that is there, and while nobody knows how old it is, from the API server
 * itself. An operator that may not read ConfigMaps works as if there were none, and says so in its log.
 */
export class KubernetesDefaults implements DefaultsSource {
  readonly #options: MirrorOptions;
  readonly #client: ObjectClient;
  readonly #mirrors: ReadonlyMap<string | undefined, Reflector<ConfigMap>>;
  /** By namespace: when that was said. */
  readonly #forbiddenAtMs = new Map<string, number>();
  readonly #parsed = new WeakMap<ConfigMap, NamespaceDefaults>();
  #onChange: (namespace: string) => void = () => {};

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#client = createObjectClient(options.access);
    const { access, namespaces = [undefined], clock, log, metrics, watchLimits = {} } = options;
    this.#mirrors = new Map(
      namespaces.map((namespace) => [
        namespace,
        new Reflector<ConfigMap>({
          ...{ access, namespace, clock, log, metrics, limits: watchLimits, kind: configMaps },
          fieldSelector: `metadata.name=${defaultsName}`,
          onDelta: ({ object }) => this.#onChange(object.metadata.namespace ?? ''),
        }),
      ]),
    );
  }

  async read(namespace: string): Promise<NamespaceDefaults> {
    const mirror = this.#mirrors.get(this.#options.namespaces === undefined ? undefined : namespace);
    const found = mirror?.isFed() === true ? mirror.get({ namespace, name: defaultsName }) : await this.#ask(namespace);
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) {
      return { state: 'None' };
    }
    const known = this.#parsed.get(found) ?? parseDefaults(namespace, found.data);
    this.#parsed.set(found, known);
    return known;
  }

  async watch(onChange: (namespace: string) => void, signal: AbortSignal): Promise<void> {
    this.#onChange = onChange;
    await Promise.all([...this.#mirrors.values()].map((mirror) => mirror.run(signal)));
  }

  async #ask(namespace: string): Promise<ConfigMap | undefined> {
    const { clock, log } = this.#options;
    const forbiddenAtMs = this.#forbiddenAtMs.get(namespace);
    if (forbiddenAtMs !== undefined && clock.monotonicMs() - forbiddenAtMs < forbiddenForMs) {
      return undefined;
    }
    try {
      const found = await this.#client.get<ConfigMap>({ ...configMaps, namespace, name: defaultsName });
      this.#forbiddenAtMs.delete(namespace);
      return found;
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 403)) {
        throw error;
      }
      if (forbiddenAtMs === undefined) {
        log.warn({ err: error, namespace }, `ConfigMap ${defaultsName} may not be read: FlinkJobs get no defaults from it`);
      }
      this.#forbiddenAtMs.set(namespace, clock.monotonicMs());
      return undefined;
    }
  }
}
