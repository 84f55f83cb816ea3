import type { NamespaceDefaults } from './parse-defaults.ts';

/** What namespaces say for all their FlinkJobs. */
export interface DefaultsSource {
  /** Throws when that cannot be known now: whoever took it for nothing would start a job with other settings. */
  read(namespace: string): Promise<NamespaceDefaults>;

  /** Tells of every namespace whose defaults may have changed, until the signal aborts. */
  watch(onChange: (namespace: string) => void, signal: AbortSignal): Promise<void>;
}
