import { type LineageObserver, SimulatedLineage } from './simulated-lineage.ts';

/** All lineages, in every storage that a spec may name; and whether the storage answers. */
export class SimulatedStorage {
  readonly #lineages = new Map<string, SimulatedLineage>();
  readonly #observer: LineageObserver;
  isAvailable = true;

  constructor(observer: LineageObserver) {
    this.#observer = observer;
  }

  /** Those of one job, wherever they are. */
  lineagesOf(namespace: string, name: string): readonly SimulatedLineage[] {
    return [...this.#lineages.values()].filter(({ path }) => path.endsWith(`/${namespace}/${name}`));
  }

  /** Where the newest checkpoint of a job is. */
  newestOf(namespace: string, name: string): string | undefined {
    const [newest] = this.lineagesOf(namespace, name)
      .filter(({ head }) => head !== undefined)
      .sort((a, b) => (b.head?.completedAtMs ?? 0) - (a.head?.completedAtMs ?? 0));
    return newest?.path.slice(0, -`/${namespace}/${name}`.length);
  }

  lineageOf(config: { readonly checkpointStorage: string; readonly namespace: string; readonly name: string }): SimulatedLineage {
    const path = `${config.checkpointStorage}/${config.namespace}/${config.name}`;
    const found = this.#lineages.get(path) ?? new SimulatedLineage(path, this.#observer);
    this.#lineages.set(path, found);
    return found;
  }
}
