package dev.flinkjob.bench;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Counts words as fast as it can; the counterpart of jobs/keyed-count.ts. */
public final class KeyedCountJob {
    private KeyedCountJob() {}

    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words);
        KeySequence keys = new KeySequence(Integer.parseInt(arguments.get("seed")), Long.parseLong(arguments.get("keys")));
        GeneratorFunction<Long, String> wordAt = index -> "word" + keys.keyAt(index);

        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setMaxParallelism(128);
        env.fromSource(new DataGeneratorSource<>(wordAt, Long.MAX_VALUE, Types.STRING), WatermarkStrategy.noWatermarks(), "words")
                .uid("words")
                .keyBy(word -> word)
                .process(new Count())
                .uid("counts")
                .returns(Types.TUPLE(Types.STRING, Types.LONG))
                .sinkTo(new CountingSink(arguments.get("progress")))
                .uid("sink");
        env.execute("keyed-count");
    }

    private static final class Count extends KeyedProcessFunction<String, String, Tuple2<String, Long>> {
        private static final long serialVersionUID = 1L;

        private transient ValueState<Long> count;

        @Override
        public void open(OpenContext context) {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
        }

        @Override
        public void processElement(String word, Context context, Collector<Tuple2<String, Long>> out) throws Exception {
            Long before = count.value();
            long after = before == null ? 1 : before + 1;
            count.update(after);
            out.collect(Tuple2.of(word, after));
        }
    }
}
