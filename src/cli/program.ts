import { Command, Option } from "commander";
import { packageVersion } from "../files/index.ts";
import {
  commonFlags,
  dataFlag,
  optionOf,
  precisions,
  type RunFlag,
  readingFlags,
  trainFlags,
} from "./run-flags.ts";

/** Names of `src/comparisons/registry.ts`, which is loaded when the command runs; a test holds them equal. */
const comparisonPresets = ["methods", "depth", "reparameterization", "length", "heads", "shots", "backbones"];
const collect = (value: string, earlier: readonly string[] = []): string[] => [...earlier, value];

function withFlags(command: Command, flags: readonly RunFlag[]): Command {
  for (const flag of flags) command.addOption(optionOf(flag));
  return command;
}

/** Options of every command that makes a configuration of a data file, or changes one. */
function withRunOptions(command: Command, flags: readonly RunFlag[] = commonFlags): Command {
  return withFlags(command, flags).option(
    "--set <key=value>",
    "set any key of the configuration; may be given again",
    collect,
  );
}

/**
 * The command line. Options are declared here; what commands do is loaded when one runs, so that help and
 * small commands start fast.
 */
export function createProgram(): Command {
  const program = new Command("ptuning")
    .description("Teach one frozen transformer many language-understanding tasks, on an ordinary CPU.")
    .version(packageVersion())
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true });

  program
    .command("init")
    .description("look at a data file and write a commented configuration for it")
    .argument("<data>", "file with labelled rows")
    .option("-o, --output <file>", "where to write it", "ptuning.yaml")
    .option("--overwrite", "replace an existing file")
    .option("-y, --yes", "take the guesses without asking")
    .action(async (data, options) => (await import("./commands/init.ts")).init(data, options));

  const train = program
    .command("train")
    .description("tune a prompt and a head on labelled rows")
    .argument("[config]", "configuration (.yaml), or a data file: its columns are guessed");
  withFlags(withRunOptions(withFlags(train, [dataFlag])), trainFlags)
    .option("-o, --output <folder>", "run folder")
    .option("--overwrite", "replace an existing run")
    .option("--resume <folder>", "go on with a run that was stopped")
    .option(
      "--baselines",
      "also score simple answers on the test data: the most frequent one, TF-IDF + logistic regression",
    )
    .option("--expect-data <fingerprint>", "refuse to train on other data")
    .option("--expect-backbone <fingerprint>", "refuse to train on another backbone")
    .addOption(
      new Option(
        "--find-lr",
        "try rising learning rates for a hundred updates, print the curve and a suggestion; keep nothing",
      ).conflicts(["dryRun", "resume", "baselines"]),
    )
    .option("--dry-run", "measure a few steps and print parameters, memory and time; train nothing")
    .option("--json", "events as JSON lines on standard output")
    .action(async (config, options) => (await import("./commands/train.ts")).trainCommand(config, options));

  withRunOptions(
    program
      .command("compare")
      .description("methods or ablations side by side on one data set: a table, a figure, a page")
      .argument("<source>", "configuration (.yaml), or a data file"),
  )
    .addOption(
      new Option("--preset <name>", "what is compared")
        .choices(comparisonPresets)
        .default(comparisonPresets[0]),
    )
    .option("--methods <names...>", "methods to compare; default: all, or the configured one")
    .option("--backbones <names...>", "backbones to compare, for the preset of this name")
    .option("--seeds <numbers...>", "how many seeds, or two or more seeds themselves")
    .option("--values <numbers...>", "depths, lengths or examples per label in place of the preset's")
    .option("-o, --output <folder>", "default: comparisons/NAME; runs that are there are not made again")
    .option("--workers <n>", "runs at a time; more than one makes times longer", "1")
    .option("--retry", "make failed runs again")
    .option("--overwrite", "start over")
    .option("--dry-run", "list the runs, train nothing")
    .option("--json", "events as JSON lines on standard output")
    .action(async (source, options) =>
      (await import("./commands/compare.ts")).compareCommand(source, options),
    );

  withRunOptions(
    program
      .command("sweep")
      .description("search over keys of a configuration: grid, random, successive halving")
      .argument("[config]", "configuration (.yaml), or a data file: its columns are guessed"),
  )
    .option("--grid <key=values>", "choices: training.learningRate=1e-3,5e-3; may be given again", collect)
    .option("--uniform <key=low,high>", "a range, with a third number in multiples of it", collect)
    .option("--log-uniform <key=low,high>", "a range, uniform by the logarithm", collect)
    .addOption(
      new Option("--search-preset <name>", "the grid that came with the paper's code").choices([
        "p-tuning-v2",
      ]),
    )
    .addOption(
      new Option("--strategy <name>", "default: grid where every key has choices, else random").choices([
        "grid",
        "random",
        "halving",
      ]),
    )
    .option(
      "--halving <least,most>",
      "successive halving from so many epochs to so many; key=least,most,factor",
    )
    .option("--runs <n>", "trials at most")
    .option("--minutes <n>", "no trial begins after so many minutes")
    .option("--search-seed <n>", "seed of what is drawn")
    .option("--workers <n>", "trials at a time; default: one for each four cores")
    .option("--queue <url>", "let workers run the trials: redis://host:port")
    .option("--root <folder>", "with --queue: holds data, backbone and results", ".")
    .option("--reports", "a report.html for every trial")
    .option("-o, --output <folder>", "sweep folder; one that was begun is gone on with")
    .option("--resume <folder>", "go on with a sweep; other flags of the search win over what it was")
    .option("--json", "events as JSON lines on standard output")
    .action(async (config, options) => (await import("./commands/sweep.ts")).sweepCommand(config, options));

  program
    .command("worker")
    .description("run trials of sweeps from a queue, on any machine")
    .requiredOption("--queue <url>", "redis://[user:password@]host[:port][/database]")
    .requiredOption("--root <folder>", "holds data and backbone, and gets the trials; no job leaves it")
    .option("--workers <n>", "trials at a time; default: one for each four cores")
    .option("--threads <n>", "threads of each; default: the cores, shared out")
    .option("--lock-seconds <n>", "without a sign of life for so long a trial is taken by another", "30")
    .option("--silence-minutes <n>", "a trial that tells nothing for so long is ended for good", "120")
    .option("--json", "events as JSON lines on standard output")
    .action(async (options) => (await import("./commands/worker.ts")).workerCommand(options));

  program
    .command("evaluate")
    .description("score an adapter on labelled rows")
    .argument(
      "<adapter>",
      "adapter folder, a finished run, or a configuration (.yaml) with a verbalizer, to answer without training",
    )
    .argument("<data>", "file with labelled rows")
    .option("--text <columns>", "text column, or two joined by a comma; default: as in training")
    .option("--label <column>", "label column; default: as in training")
    .option("--label-pattern <regex>", "finds labels inside the text")
    .option("--head <name>", "which task, of an adapter with several heads")
    .option("--backbone <name>", "where the backbone is; default: the one it was trained on")
    .addOption(new Option("--precision <name>", "of the frozen layers").choices(precisions))
    .option("--threads <n>", "threads of the engine")
    .option("--json", "scores as JSON")
    .action(async (adapter, data, options) =>
      (await import("./commands/evaluate.ts")).evaluateCommand(adapter, data, options),
    );

  program
    .command("predict")
    .description("answer with an adapter: for texts as arguments, a file, or standard input")
    .argument(
      "<adapter>",
      "adapter folder, a finished run, or a configuration (.yaml) with a verbalizer, to answer without training",
    )
    .argument("[texts...]", "texts; without them --input or standard input, a text per line")
    .option(
      "--input <file>",
      "file with examples, in the form of the training data, or with a text per line (.txt)",
    )
    .option("--text <columns>", "text column of --input; default: as in training")
    .option("--pair <text>", "second text of a pair, for one text given as argument")
    .addOption(new Option("--format <name>", "output").choices(["table", "jsonl", "csv", "tsv"]))
    .option("--raw", "CSV and TSV: cells that a spreadsheet would run stay as they are")
    .option(
      "--probabilities",
      "also what was not chosen, with its probability, in tables and CSV; JSON lines always hold it",
    )
    .option("--head <name>", "which task, of an adapter with several heads")
    .option("--backbone <name>", "where the backbone is; default: the one it was trained on")
    .addOption(new Option("--precision <name>", "of the frozen layers").choices(precisions))
    .option("--threads <n>", "threads of the engine")
    .option("--json", "the same as --format jsonl")
    .action(async (adapter, texts, options) =>
      (await import("./commands/predict.ts")).predictCommand(adapter, texts, options),
    );

  const serve = program
    .command("serve")
    .description("answer over HTTP with all adapters of a folder, on one backbone")
    .option("--adapters <folder>", "holds a folder for each adapter or run; it is watched")
    .option("--backbone <name>", "catalog name, hub id or folder")
    .option(
      "--host <address>",
      "where to listen; others than this machine reach it only with keys",
      "127.0.0.1",
    )
    .option("--port <n>", "0: one that is free", "8080")
    .option("--keys <file>", "who may ask what; made by serve add-key, read again when it changes")
    .option("--without-keys", "whoever reaches the server may ask everything, also from other machines")
    .option("--cors-origin <origins...>", "sites whose pages may ask")
    .option("--allow-host <names...>", "further names of a server without keys")
    .option("--admin-port <n>", "loads and unloads adapters, for this machine only; default: none")
    .addOption(new Option("--precision <name>", "of the frozen layers").choices(precisions))
    .option("--threads <n>", "threads of the engine")
    .option("--adapter-memory <size>", "adapters in memory at most: 500mb, 2gb; default: no limit")
    .option("--pin <names...>", "adapters that are read at once and stay in memory")
    .option("--max-batch-tokens <n>", "tokens of one run of the engine, padding included", "4096")
    .option("--max-batch-delay <ms>", "how long a free engine waits for more texts", "0")
    .option("--max-queue-texts <n>", "texts that may wait; more are refused with 429", "512")
    .option("--max-client-batch <n>", "texts of one request", "128")
    .option("--max-characters <n>", "characters of one example", "50000")
    .option("--max-body <size>", "bytes of one request", "2mb")
    .option("--timeout <seconds>", "until a request is given up", "30")
    .option("--grace <seconds>", "to answer what was taken, once the server is to end", "30")
    .option("--poll <seconds>", "between two looks at the folder, whatever the system tells", "5")
    .option("--metrics-per-adapter", "histograms by adapter too")
    .option("--json", "logs as JSON lines on standard output")
    .action(async (options) => (await import("./commands/serve.ts")).serveCommand(options));
  serve
    .command("add-key")
    .description("make a key and add its hash to a file of keys")
    .argument("<file>", "file of keys; it need not exist")
    .argument("<name>", "of the key, for logs")
    .option("--allow <adapters...>", 'adapters that it may use; "*" stands for any characters')
    .option("--metrics", "may read /metrics")
    .option("--admin", "may load and unload adapters")
    .action(async (file, name, options) =>
      (await import("./commands/serve.ts")).addKeyCommand(file, name, options),
    );

  program
    .command("merge")
    .description("write what an adapter computes as a checkpoint that transformers loads (LoRA, BitFit)")
    .argument("<adapter>", "adapter folder, or a finished run")
    .requiredOption("-o, --output <folder>", "folder of the checkpoint")
    .option("--head <name>", "which task, of an adapter with several heads")
    .option("--backbone <name>", "where the backbone is; default: the one it was trained on")
    .option("--json", "where it lies, as JSON")
    .action(async (adapter, options) => (await import("./commands/merge.ts")).mergeCommand(adapter, options));

  program
    .command("report")
    .description("make a run's report.html anew")
    .argument("<run>", "run folder")
    .option("--threads <n>", "threads of the engine")
    .action(async (run, options) => (await import("./commands/report.ts")).reportCommand(run, options));

  withRunOptions(
    program
      .command("check-data")
      .description("look for mistakes in a data set before training on it")
      .argument("<source>", "configuration (.yaml), data file, or run folder"),
    readingFlags,
  )
    .option("--json", "as JSON")
    .action(async (source, options) =>
      (await import("./commands/check-data.ts")).checkDataCommand(source, options),
    );

  program
    .command("inspect")
    .description("say what an adapter, a run, a backbone or a data file holds")
    .argument("<thing>", "folder, file, or backbone name")
    .option("--json", "as JSON")
    .action(async (thing, options) => (await import("./commands/inspect.ts")).inspect(thing, options));

  const backbones = program
    .command("backbones")
    .description("list, fetch and remove backbones")
    .option("--json", "as JSON")
    .action(async (options) => (await import("./commands/backbones.ts")).listBackbones(options));
  backbones
    .command("add")
    .description("fetch a backbone now")
    .argument("<name>", "catalog name or hub id")
    .action(async (name) => (await import("./commands/backbones.ts")).addBackbone(name));
  backbones
    .command("remove")
    .description("delete a backbone from the cache")
    .argument("<name>", "catalog name or hub id")
    .action(async (name) => (await import("./commands/backbones.ts")).removeBackbone(name));

  program
    .command("doctor")
    .description("check what this machine has and reaches")
    .option("--json", "as JSON")
    .action(async (options) => (await import("./commands/doctor.ts")).doctor(options));

  return program;
}
