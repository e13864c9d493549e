export {
  type CallOptions,
  type Client,
  type ClientOptions,
  createClient,
  type ListedModel,
  type MixedPart,
  type MixedResult,
  type QuestionInput,
  type ScoredLabel,
  type ServedAnswer,
  type ServedEntity,
  type TextInput,
} from "./client.ts";
export { ClientError } from "./retry.ts";
