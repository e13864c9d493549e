"""Makes test/golden/ops.json: every op of the table, evaluated in float64 by PyTorch.

The cases are written against the ONNX specification (and ONNX Runtime's for its own ops), not against our code.
Run: node tools/reference/run.mjs make_ops.py
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(20240611)
torch.set_default_dtype(torch.float64)
cases = []


def tensor(value):
    """A tensor with its dtype as the graph names it."""
    names = {torch.float64: "float32", torch.int64: "int64", torch.uint8: "uint8", torch.int8: "int8", torch.int32: "int32", torch.bool: "bool"}
    data = value.flatten().to(torch.float64).tolist()
    return {"dtype": names[value.dtype], "shape": list(value.shape), "data": data}


def case(op, inputs, outputs, attributes=None, name=""):
    cases.append(
        {
            "op": op,
            "name": name,
            "attributes": attributes or {},
            "inputs": [None if x is None else tensor(x) for x in inputs],
            "outputs": [tensor(y) for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])],
        }
    )


def ints(*values):
    return torch.tensor(values, dtype=torch.int64)




def exact(value):
    """Rounded to float32, so that engines of both precisions start from the same numbers."""
    return value.float().double()


def rand(*shape):
    return exact(torch.randn(*shape))



# Elementwise, with every kind of broadcasting.
for op, fn in {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}.items():
    for a, b in [((2, 3), (2, 3)), ((2, 3), (3,)), ((4, 1, 3), (2, 1)), ((2, 3), ()), ((), (2,))]:
        x, y = rand(a), exact(rand(b) + (3.0 if op == "Div" else 0.0))
        case(op, [x, y], fn(x, y), name=f"{a} with {b}")
x = exact(torch.cat([rand(8), torch.tensor([-7.0, -3.5, -3.0, 0.0, 2.9, 3.1, 6.5])]))
for op, fn in {"Neg": torch.neg, "Abs": torch.abs, "Exp": torch.exp, "Erf": torch.erf, "Tanh": torch.tanh}.items():
    case(op, [x], fn(x))
case("Relu", [x[x.abs() > 1e-3]], F.relu(x[x.abs() > 1e-3]))
positive = exact(x.abs() + 0.1)
case("Sqrt", [positive], positive.sqrt())
case("Log", [positive], positive.log())
case("Reciprocal", [positive], positive.reciprocal())
for approximate in ("none", "tanh"):
    case("Gelu", [x], F.gelu(x, approximate=approximate), {"approximate": approximate}, name=approximate)
fractions = exact(torch.tensor([-2.7, -0.5, 0.0, 0.4, 3.9]))
case("Cast", [fractions], fractions.trunc().to(torch.int64), {"to": "int64"}, name="float to int64")
case("Cast", [fractions], fractions != 0, {"to": "bool"}, name="float to bool")
case("Cast", [ints(1, 2, -3)], ints(1, 2, -3).to(torch.float64), {"to": "float32"}, name="int64 to float")
case("Cast", [fractions], fractions, {"to": "float32"}, name="float to float")
quantised = torch.tensor([[0, 1, 255], [128, 3, 7]], dtype=torch.uint8)
scale = torch.tensor(0.25)
case("DequantizeLinear", [quantised, scale], quantised.double() * scale)
zero = torch.tensor(128, dtype=torch.uint8)
case("DequantizeLinear", [quantised, scale, zero], (quantised.double() - 128) * scale, name="zero point")

# What prediction quantises with: scalars, or a scale per row; values beyond the range are cut, halves go to even.
def quantise_linear(x, scale, zero_point):
    return (x / scale).round().add(zero_point.double()).clamp(0, 255).to(torch.uint8)


rows = exact(torch.cat([rand(3, 4) * 5, torch.tensor([[0.125, -0.125, 0.375, 100.0]])]))
case("QuantizeLinear", [rows, torch.tensor(0.25), zero], quantise_linear(rows, 0.25, zero))
scales, zeros = torch.tensor([0.5, 0.25, 2.0, 0.25]), torch.tensor([128, 0, 255, 7], dtype=torch.uint8)
for axis in (0, 1):
    shape = [-1, 1] if axis == 0 else [1, -1]
    expected = quantise_linear(rows, scales.reshape(shape), zeros.reshape(shape))
    case("QuantizeLinear", [rows, scales, zeros], expected, {"axis": axis}, name=f"axis {axis}")
codes, weight = torch.randint(0, 256, (5, 4), dtype=torch.uint8), torch.randint(-127, 128, (4, 6), dtype=torch.int8)
scales, bias, step = exact(rand(6).abs() + 0.1), rand(6), torch.tensor(0.5)
product = ((codes.double() - 128) @ weight.double()) * 0.5 * scales
case("MatMulIntegerToFloat", [codes, weight, step, scales, zero], product)
case("MatMulIntegerToFloat", [codes, weight, step, scales, zero, None, bias], product + bias, name="with bias")

codes3 = codes.reshape(1, 5, 4)
integers = (codes.double() - 128) @ weight.double()
case("MatMulInteger", [codes, weight, zero], integers.to(torch.int32))
case("MatMulInteger", [codes3, weight, zero], integers.to(torch.int32)[None], name="three axes")
case("MatMulInteger", [codes, weight], (codes.double() @ weight.double()).to(torch.int32), name="without zero point")

# DynamicQuantizeLinear of the ONNX specification, then the integer product.
def dynamic_quantize(x):
    low, high = x.min().clamp(max=0), x.max().clamp(min=0)
    step = (high - low) / 255
    zero_point = (-low / step).round().clamp(0, 255)
    return (x / step).round().add(zero_point).clamp(0, 255) - zero_point, step


for name, x in {"mixed signs": rand(5, 4), "positive": rand(3, 4).abs(), "three axes": rand(2, 3, 4)}.items():
    weight = torch.randint(-127, 128, (4, 6), dtype=torch.int8)
    scales, bias = exact(rand(6).abs() + 0.1), rand(6)
    quantised, step = dynamic_quantize(x)
    zero_point = (-x.min().clamp(max=0) / step).round().to(torch.uint8)
    codes = (quantised + zero_point.double()).to(torch.uint8)
    case("DynamicQuantizeLinear", [x], [codes, step, zero_point], name=name)
    product = (quantised @ weight.double()) * step * scales
    case("DynamicQuantizeMatMul", [x, weight, scales], product, name=name)
    case("DynamicQuantizeMatMul", [x, weight, scales, None, bias], product + bias, name=f"{name} with bias")

# Products.
a, b = rand(2, 3, 4), rand(2, 4, 5)
case("MatMul", [a, b], a @ b, name="batched")
a, b = rand(3, 4), rand(4, 2)
case("MatMul", [a, b], a @ b)
a, b = rand(2, 1, 3, 4), rand(5, 4, 2)
case("MatMul", [a, b], a @ b, name="broadcast batch")
for ta in (0, 1):
    for tb in (0, 1):
        a, b, c = rand(3, 4), rand(4, 2), rand(2)
        stored = [a.T.contiguous() if ta else a, b.T.contiguous() if tb else b]
        flags = {"transA": ta, "transB": tb}
        case("Gemm", [*stored, c], 0.5 * a @ b + 2 * c, {**flags, "alpha": 0.5, "beta": 2.0}, name=f"{ta}{tb} with bias")
        case("Gemm", stored, a @ b, flags, name=f"{ta}{tb}")
        for ba in (0, 1):
            for bb in (0, 1):
                # What is multiplied is [2, 5, 3, 4] · [2, 5, 4, 6].
                a, b = rand(2, 5, 3, 4), rand(2, 5, 4, 6)
                left = a.transpose(-1, -2) if ta else a
                right = b.transpose(-1, -2) if tb else b
                # The batch flag stores the first matrix axis in front of the batch axes.
                left = left.permute(2, 0, 1, 3) if ba else left
                right = right.permute(2, 0, 1, 3) if bb else right
                flags = {"transA": ta, "transB": tb, "transBatchA": ba, "transBatchB": bb, "alpha": 0.3}
                case("FusedMatMul", [left.contiguous(), right.contiguous()], 0.3 * a @ b, flags, name=f"{ta}{tb} batch {ba}{bb}")
a, b = rand(2, 5, 3, 4), rand(1, 1, 6, 4)
case("FusedMatMul", [a, b], a @ b.transpose(-1, -2), {"transB": 1}, name="broadcast batch")

# Normalisation and reduction.
x = rand(3, 4, 5)
for axis in (-1, 1):
    case("Softmax", [x], x.softmax(axis), {"axis": axis}, name=f"axis {axis}")
    case("LogSoftmax", [x], x.log_softmax(axis), {"axis": axis}, name=f"axis {axis}")
big = exact(x * 300)
case("Softmax", [big], big.softmax(-1), {"axis": -1}, name="large logits")
scale, bias, eps = rand(5), rand(5), 1e-5
mean = x.mean(-1, keepdim=True)
inverse = 1 / (x.var(-1, unbiased=False, keepdim=True) + eps).sqrt()
case(
    "LayerNormalization",
    [x, scale, bias],
    [F.layer_norm(x, (5,), scale, bias, eps), mean, inverse],
    {"axis": -1, "epsilon": eps},
)
case("LayerNormalization", [x, scale], [F.layer_norm(x, (5,), scale, None, eps), mean, inverse], {"axis": -1, "epsilon": eps}, name="no bias")
for op, fn in {"ReduceSum": torch.sum, "ReduceMean": torch.mean}.items():
    for axes in ([-1], [0], [0, 2], [0, 1, 2]):
        for keep in (0, 1):
            case(op, [x, ints(*axes)], fn(x, dim=axes, keepdim=bool(keep)), {"keepdims": keep}, name=f"{axes} keep {keep}")
    case(op, [x], fn(x), {"keepdims": 0}, name="all")

for axes in ([-1], [0, 2]):
    for keep in (0, 1):
        case("ReduceMax", [x, ints(*axes)], x.amax(dim=axes, keepdim=bool(keep)), {"keepdims": keep}, name=f"{axes} keep {keep}")
# No axes are all axes.
case("ReduceSum", [x, torch.tensor([], dtype=torch.int64)], x.sum(), {"keepdims": 0}, name="no axes")

# Layout.
x = rand(2, 3, 4)
case("Shape", [x], ints(2, 3, 4))
case("Shape", [x], ints(3), {"start": 1, "end": 2}, name="part")
case("Reshape", [x, ints(4, 6)], x.reshape(4, 6))
case("Reshape", [x, ints(0, -1)], x.reshape(2, 12), name="copy and infer")
case("Transpose", [x], x.permute(2, 0, 1).contiguous(), {"perm": [2, 0, 1]})
y = rand(3, 1)
case("Expand", [y, ints(2, 3, 4)], y.expand(2, 3, 4).contiguous())
case("Expand", [y, ints(1, 5)], y.expand(3, 5).contiguous(), name="ones keep")
for axis in (0, 1, -1):
    shapes = [[2, 3, 4], [2, 3, 4]]
    shapes[1][axis] = 2
    a, b = rand(shapes[0]), rand(shapes[1])
    case("Concat", [a, b], torch.cat([a, b], axis), {"axis": axis}, name=f"axis {axis}")
case("Slice", [x, ints(1), ints(3), ints(1)], x[:, 1:3].contiguous())
case("Slice", [x, ints(-2), ints(4), ints(2)], x[:, :, -2:].contiguous(), name="from the end")
case("Slice", [x, ints(0, 1), ints(1, 3), ints(0, 2)], x[0:1, :, 1:3].contiguous(), name="two axes")
case("Split", [x, ints(1, 3)], [x[:, :, :1].contiguous(), x[:, :, 1:].contiguous()], {"axis": 2})
case("Split", [x, ints(1, 1)], [x[:1], x[1:]], {"axis": 0}, name="axis 0")
case("Pad", [x, ints(0, 1, 0, 2, 0, 3)], F.pad(x, (0, 3, 1, 0, 0, 2)))
indices = torch.tensor([[0, 2], [1, 1]])
table = rand(4, 3)
case("Gather", [table, indices], table[indices], {"axis": 0})
case("Gather", [table, indices.to(torch.int32)], table[indices], {"axis": 0}, name="int32 indices")
case("Gather", [table, ints(2, 0)], table[:, [2, 0]].contiguous(), {"axis": 1}, name="axis 1")
# Indices below 0 count from the end.
case("Gather", [table, ints(-1, 0, -4)], table[[-1, 0, -4]], {"axis": 0}, name="negative indices")
case("Gather", [table, ints(-1, -1)], table[:, [-1, -1]].contiguous(), {"axis": 1}, name="negative indices, axis 1")
updates = rand(3, 3)
rows = ints(1, 3, 1)
case("ScatterND", [table, rows[:, None], updates], table.index_add(0, rows, updates), {"reduction": "add"})
case("ScatterND", [table, ints(-1, 0, -3)[:, None], updates], table.index_add(0, ints(3, 0, 1), updates), {"reduction": "add"}, name="negative indices")

# Matrices of 4-bit numbers, two to a byte, the lower half first, 8 for 0, with a scale per block of a row.
K, N, block = 64, 3, 32
packed = torch.randint(0, 256, (N, K // block, block // 2), dtype=torch.uint8)
scales, bias = exact(rand(N, K // block).abs() + 0.1), rand(N)
numbers = torch.stack([packed % 16, packed // 16], -1).reshape(N, K // block, block).double() - 8
matrix = (numbers * scales[..., None]).reshape(N, K)
sizes = {"K": K, "N": N, "bits": 4, "block_size": block}
for name, x in {"one row": rand(1, K), "rows": rand(5, K)}.items():
    case("MatMulNBits", [x, packed, scales], x @ matrix.T, sizes, name=name)
    case("MatMulNBits", [x, packed, scales, None, None, bias], x @ matrix.T + bias, sizes, name=f"{name} with bias")

target = Path(__file__).resolve().parents[2] / "test" / "golden" / "ops.json"
target.parent.mkdir(parents=True, exist_ok=True)
lines = ",\n".join(json.dumps(item) for item in cases)
target.write_text(f'{{"torch": "{torch.__version__}", "cases": [\n{lines}\n]}}\n')
print(f"{len(cases)} cases, {target.stat().st_size} bytes")
assert math.isfinite(sum(sum(t["data"]) for c in cases for t in c["outputs"]))
