import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf';
import {
  type ChannelOptions,
  logVerbosity,
  type MethodDefinition,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

// It would print to stderr what is reported through errors anyway.
setLogVerbosity(logVerbosity.NONE);

/** What generated service descriptors are for @grpc/grpc-js: paths and codecs. */
export function toServiceDefinition(service: DescService): ServiceDefinition<UntypedServiceImplementation> {
  return Object.fromEntries(service.methods.map((method) => [method.localName, toMethodDefinition(method)]));
}

export function toMethodDefinition(method: DescMethod): MethodDefinition<object, object> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: (message) => serialize(method.input, message),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (message) => serialize(method.output, message),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

function serialize(schema: DescMessage, message: object): Buffer {
  const bytes = toBinary(schema, create(schema, message as MessageInitShape<DescMessage>));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * A killed process resets its connections at once; pings find the peer that vanished without a word (a lost node, a partition). They are
 * lenient, because a process that is busy for some seconds is not gone: the heartbeat of the control messages judges that.
 */
export const grpcChannelOptions: ChannelOptions = {
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  // A deployment carries inline state of many subtasks; everything in it is bounded where it is made.
  'grpc.max_receive_message_length': 256 * 1024 * 1024,
  'grpc.max_send_message_length': 256 * 1024 * 1024,
  'grpc-node.flow_control_window': 1024 * 1024,
  // Two processes under test on one machine must not share a connection by accident.
  'grpc.use_local_subchannel_pool': 1,
  // Addresses are of our own processes; a proxy in the environment is for the outside world.
  'grpc.enable_http_proxy': 0,
};
