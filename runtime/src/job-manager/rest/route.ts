export interface RestRequest {
  /** What the `:name` parts of the path stand for, decoded. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: string;
}

export type RestAnswer =
  /** As JSON. */
  | { readonly status: number; readonly document: object }
  | { readonly status: number; readonly text: string; readonly contentType: string };

export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** `/jobs/:jobId`; a `:name` part matches one part of a path. */
  readonly path: string;
  readonly handle: (request: RestRequest) => RestAnswer;
}
