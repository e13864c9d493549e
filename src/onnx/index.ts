export { decodeModel } from "./decode.ts";
export { encodeModel, type TensorPlace } from "./encode.ts";
