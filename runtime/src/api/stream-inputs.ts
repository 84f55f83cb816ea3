import type { KeySelection } from '../core/job-graph/executable-job.ts';
import { invalidJob } from '../core/job-graph/invalid-job.ts';
import { outputType } from '../core/job-graph/job-graph-builder.ts';
import type { DeclaredOperator, OperatorDeclaration, OperatorInput } from '../core/job-graph/operator-declaration.ts';
import type { Type } from '../core/types/type.ts';
import { descriptorsEqual, formatDescriptor } from '../core/types/type-descriptor.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import type { DataStream } from './data-stream.ts';
import type { SideOutputRecords } from './side-outputs.ts';
import { refuseAsync } from './synchronous.ts';

/** One output of an operator. A stream comes from one, a union from several. */
export type StreamOrigin = Pick<OperatorInput, 'from' | 'outputTag'>;

/** Adds an operator to the job and gives the stream of what it emits. */
export type Declare = <Out, Sides extends SideOutputRecords>(declaration: OperatorDeclaration) => DataStream<Out, Sides>;

/** A stream as one input of an operator. */
export function toInputs(
  origins: readonly StreamOrigin[],
  input: { readonly ordinal: number; readonly key?: KeySelection; readonly broadcast?: boolean },
): readonly OperatorInput[] {
  const { ordinal, key, broadcast = false } = input;
  return origins.map(({ from, outputTag }) => ({ from, outputTag, ordinal, key, broadcast }));
}

/** The records' type; of a union the one that all its streams have. */
export function recordTypeOf(origins: readonly StreamOrigin[]): Type<unknown> {
  const [first, ...others] = origins.map((origin) => ({ origin, type: outputType(origin) }));
  if (first === undefined) {
    throw new Error('a stream comes from somewhere');
  }
  for (const { origin, type } of others) {
    if (!descriptorsEqual(first.type.descriptor, type.descriptor)) {
      throw invalidJob(
        'UnionTypesDiffer',
        `a union of records of ${formatOrigin(first.origin)}, which are ${formatDescriptor(first.type.descriptor)}, and of ${formatOrigin(origin)}, which are ${formatDescriptor(type.descriptor)}`,
        'Give all of them the same type, with the option `type` of map and flatMap for example; records without a declared type are any.',
      );
    }
  }
  return first.type;
}

function formatOrigin({ from, outputTag }: StreamOrigin): string {
  return outputTag === undefined ? `"${nameOf(from)}"` : `the side output "${outputTag}" of "${nameOf(from)}"`;
}

function nameOf({ description }: DeclaredOperator): string {
  return description.name;
}

export function checkFunction(value: unknown, method: string): void {
  if (typeof value !== 'function') {
    throw invalidJob(
      'FunctionMissing',
      `.${method} was given ${describeValue(value)} where a function is needed`,
      `Pass a function: .${method}((record) => …).`,
    );
  }
  refuseAsync(value, `the function of .${method}`);
}
