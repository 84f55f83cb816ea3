/** What identifies a sort of object in the Kubernetes API, as in every manifest. */
export interface ObjectKind {
  /** `v1`, `apps/v1`, `flinkjob.dev/v1alpha1`. */
  readonly apiVersion: string;
  readonly kind: string;
}

export interface ObjectReference extends ObjectKind {
  /** Absent for what belongs to no namespace. */
  readonly namespace?: string | undefined;
  readonly name: string;
}

interface OwnerReference extends ObjectKind {
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  /** From here on: given by the server. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
}

/** An object as the API has it on the wire: raw JSON, timestamps as strings. */
export interface KubernetesObject extends ObjectKind {
  readonly metadata: ObjectMeta;
}

/**
 * Single requests to the Kubernetes API. Each has a deadline and throws `ApiError` when it is refused or not answered; what is safe to
 * repeat is repeated after a pause (or after what `Retry-After` says).
 */
export interface ObjectClient {
  /** Undefined when there is none. */
  get<T extends KubernetesObject>(reference: ObjectReference): Promise<T | undefined>;

  /** All pages, of one moment. `labelSelector` as kubectl writes it: `a=b,c`. */
  list<T extends KubernetesObject>(
    kind: ObjectKind,
    options: { readonly namespace?: string | undefined; readonly labelSelector?: string | undefined },
  ): Promise<readonly T[]>;

  /** Server-side apply of exactly these fields, with the one field manager of this operator, by force: what it names belongs to it. */
  apply<T extends KubernetesObject>(object: T, options?: { readonly subresource?: 'status' | 'scale' }): Promise<T>;

  /** `ApiError` with reason `AlreadyExists` when there is one of this name. */
  create<T extends KubernetesObject>(object: T): Promise<T>;

  /** As `create`, up to the end and without it: nothing is stored. Unknown fields are refused. */
  tryCreate<T extends KubernetesObject>(object: T): Promise<T>;

  /** Replaces the very object that was read: reason `Conflict` when its `resourceVersion` is no longer the newest. */
  replace<T extends KubernetesObject>(object: T, options?: { readonly subresource?: 'status' }): Promise<T>;

  /** Nothing happens when there is none, or when the one there has another uid, or another `resourceVersion` where one is named beside it. */
  delete(
    reference: ObjectReference,
    options?: {
      readonly uid?: string;
      readonly resourceVersion?: string;
      readonly gracePeriodSeconds?: number;
      readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
    },
  ): Promise<void>;
}
