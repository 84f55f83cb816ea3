import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { ProcessFunction } from '../core/job-graph/operator-context.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { type AuthorFunction, checkPart } from './keyed-process.ts';
import {
  type CompiledOperatorState,
  compileOperatorState,
  type OperatorStateDeclaring,
  type OperatorStateDefinitions,
  type OperatorStateHandles,
} from './operator-state.ts';
import { type ProcessContext, rememberContexts, toAuthorContext } from './process-context.ts';
import { checkSideOutputs, type RecordsOf, type SideOutputDefinitions } from './side-outputs.ts';

/** For a stream without keys. */
export interface ProcessDefinition<In, Out, L extends OperatorStateDefinitions, O extends SideOutputDefinitions>
  extends OperatorStateDeclaring<L> {
  /** Types of the records for `ctx.emitTo`, by tag; read with `stream.sideOutput(tag)`. */
  readonly sideOutputs?: O;
  element(record: In, ctx: ProcessContext<Out, RecordsOf<O>>, operatorState: OperatorStateHandles<L>): void;
  /** Called in each subtask when its input has ended, as that of a finite job does: the last chance to emit what is left in state. */
  endInput?(ctx: ProcessContext<Out, RecordsOf<O>>, operatorState: OperatorStateHandles<L>): void;
}

export function compileProcess(definition: object): CompiledOperatorState & {
  readonly function: ProcessFunction;
  readonly sideOutputs: SideOutputDefinitions;
} {
  if (typeof definition !== 'object' || definition === null) {
    throw invalidJob(
      'FunctionMissing',
      `.process was given ${describeValue(definition)}`,
      'Pass { operatorState: { … }, element(record, ctx, operatorState) { … } }; the result of keyedProcess is for a keyed stream.',
    );
  }
  const given: Partial<Record<'element', AuthorFunction>> & {
    readonly endInput?: (this: unknown, ctx: unknown, operatorState: unknown) => void;
    readonly sideOutputs?: SideOutputDefinitions;
  } = definition;
  const element = checkPart(given.element, 'element', where);
  const { endInput } = given;
  if (endInput !== undefined) {
    checkPart(endInput, 'endInput', where);
  }
  const contextOf = rememberContexts(toAuthorContext);
  const state = compileOperatorState(definition, where);
  return {
    ...state,
    function: {
      elements: [(record, context) => element.call(definition, record, contextOf(context), context.operatorState)],
      initialize: state.initialize,
      endInput: endInput && ((context) => endInput.call(definition, contextOf(context), context.operatorState)),
    },
    sideOutputs: checkSideOutputs(given.sideOutputs, where),
  };
}

const where = 'process';
