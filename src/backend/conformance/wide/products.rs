//! Products of the same operands by every kernel.

use super::{Scale, compare};
use crate::backend::conformance::Case;
use crate::backend::cuda::{Combination, Matrix, ProductOperands, Tensor, Vector, hopper_stages};
use crate::backend::{Activation, Cuda, Device};
use crate::error::Result;

/// Values of each result that are computed in f64.
const SPOTS: usize = 64;
/// Columns of k per stage.
const DEPTH: usize = 64;

const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
    Activation::Tanh,
];
const COMBINATIONS: [Option<Combination>; 3] =
    [None, Some(Combination::Add), Some(Combination::Multiply)];

const MMA: [&str; 2] = ["product_tn", "product_tn_small"];
const MMA_F32: [&str; 2] = ["product_tn_f32", "product_tn_f32_small"];
const HOPPER: [(&str, usize); 3] = [
    ("product_hopper_128", 128),
    ("product_hopper_192", 192),
    ("product_hopper_256", 256),
];
/// In parts of the depth, which `product_sum` adds up.
const SPLIT: &str = "product_split_hopper";
const OTHER_LAYOUTS: [&str; 4] = [
    "product_nn",
    "product_nn_f32",
    "product_nt",
    "product_nt_f32",
];

/// A product: m, n, k, and what follows the sums.
#[derive(Clone, Copy)]
struct Problem {
    shape: [usize; 3],
    activation: Activation,
    combination: Option<Combination>,
}

impl Problem {
    fn plain(shape: [usize; 3]) -> Self {
        Self {
            shape,
            activation: Activation::Identity,
            combination: None,
        }
    }

    fn with(self, activation: Activation, combination: Option<Combination>) -> Self {
        Self {
            activation,
            combination,
            ..self
        }
    }
}

/// The operands on the host, and on the GPU in each layout.
struct Operands {
    a: Vec<f32>,
    b: Vec<f32>,
    bias: Vec<f32>,
    other: Vec<f32>,
    gpu_a: Tensor,
    gpu_b: Matrix,
    transposed: Option<(Tensor, Matrix)>,
    gpu_bias: Vector,
    gpu_other: Option<Tensor>,
}

impl Operands {
    fn of(&self, kernel: &str, problem: &Problem) -> ProductOperands<'_> {
        let (mut a, mut b) = (&self.gpu_a, &self.gpu_b);
        if let Some((transposed_a, transposed_b)) = &self.transposed {
            if kernel.starts_with("product_nt") {
                a = transposed_a;
            }
            if OTHER_LAYOUTS.contains(&kernel) {
                b = transposed_b;
            }
        }
        ProductOperands {
            a,
            b,
            bias: Some(&self.gpu_bias),
            activation: problem.activation,
            other: problem.combination.zip(self.gpu_other.as_ref()),
        }
    }
}

/// The transpose of rows × columns.
fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    let rows = x.len() / columns.max(1);
    let of_column = |column: usize| (0..rows).map(move |row| x[row * columns + column]);
    (0..columns).flat_map(of_column).collect()
}

impl Case<'_, Cuda> {
    /// The kernels that compute a TN product in bf16.
    fn tn_kernels(&self) -> Vec<&'static str> {
        let hopper = HOPPER.iter().filter(|_| self.backend.uses_wgmma());
        let hopper = hopper.map(|(kernel, _)| *kernel);
        let split = self.backend.uses_wgmma().then_some(SPLIT);
        MMA.into_iter().chain(hopper).chain(split).collect()
    }

    pub(super) fn wide_products(&mut self, scale: Scale) -> Result<()> {
        let add = Some(Combination::Add);
        let (identity, gelu) = (Activation::Identity, Activation::Gelu);
        let problems = scale.choose(
            [
                Problem::plain([16_384, 768, 768]),
                Problem::plain([16_384, 3_072, 768]).with(gelu, None),
                Problem::plain([16_384, 768, 3_072]).with(identity, add),
                Problem::plain([129, 30_522, 768]),
                Problem::plain([4_096, 384, 1_536]).with(identity, add),
                Problem::plain([257, 191, 1_000]),
            ],
            [
                Problem::plain([300, 264, 140]),
                Problem::plain([140, 520, 70]).with(gelu, None),
                Problem::plain([130, 200, 450]).with(identity, add),
                Problem::plain([129, 522, 72]),
                Problem::plain([257, 130, 72]).with(identity, add),
                Problem::plain([257, 191, 100]),
            ],
        );
        let kernels = self.tn_kernels();
        for problem in problems {
            self.products(&problem, &kernels)?;
        }
        Ok(())
    }

    /// Depths one below, at and one above multiples of 64 around the number of stages of every
    /// ring: there the ring is full, or a stage is used again.
    pub(super) fn rings(&mut self, scale: Scale) -> Result<()> {
        if !self.backend.uses_wgmma() {
            return Ok(());
        }
        for (kernel, width) in HOPPER {
            let own = hopper_stages(width);
            let stages = scale.choose(vec![3, 4, 5, 6, 7, 2 * own, 3 * own], vec![own]);
            for stages in stages {
                for k in [DEPTH * stages - 1, DEPTH * stages, DEPTH * stages + 1] {
                    let (m, n) = scale.choose((300, 2 * width + 8), (130, width + 8));
                    for combination in scale.choose(&COMBINATIONS[..2], &COMBINATIONS[1..2]) {
                        let problem = Problem::plain([m, n, k]);
                        let problem = problem.with(Activation::Identity, *combination);
                        self.products(&problem, &[MMA[0], kernel])?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Every activation with every epilogue, in less than one tile and in several.
    pub(super) fn epilogues(&mut self) -> Result<()> {
        let mut kernels = self.tn_kernels();
        kernels.extend(MMA_F32);
        kernels.extend(OTHER_LAYOUTS);
        for (place, activation) in ACTIVATIONS.into_iter().enumerate() {
            for (turn, combination) in COMBINATIONS.into_iter().enumerate() {
                let shape = match (place + turn) % 3 {
                    0 => [130, 72, 70],
                    1 => [9, 200, 65],
                    _ => [40, 40, 24],
                };
                let problem = Problem::plain(shape).with(activation, combination);
                self.products(&problem, &kernels)?;
            }
        }
        Ok(())
    }

    /// Products of gradients: of the inputs (NN) and of the weights (NT).
    pub(super) fn layouts(&mut self, scale: Scale) -> Result<()> {
        let shapes = scale.choose(
            [[4_096, 768, 3_072], [768, 3_072, 4_096], [1_000, 777, 521]],
            [[140, 130, 100], [130, 260, 70], [65, 77, 33]],
        );
        for shape in shapes {
            let kernels = [&MMA[..1], &OTHER_LAYOUTS].concat();
            self.products(&Problem::plain(shape), &kernels)?;
        }
        Ok(())
    }

    /// One product by each kernel: single values against f64, all values against the first kernel.
    fn products(&mut self, problem: &Problem, kernels: &[&str]) -> Result<()> {
        let Problem {
            shape: [m, n, k],
            activation,
            combination,
        } = *problem;
        let shape = format!("{m} × {n} × {k}, {activation:?}, {combination:?}");
        self.begin("operands of products", &shape);
        let mut operands = None;
        self.attempt(|case| {
            operands = Some(case.operands(problem, kernels)?);
            Ok(())
        })?;
        let Some(operands) = operands else {
            return Ok(());
        };
        let mut first: Option<Vec<f32>> = None;
        for kernel in kernels {
            self.attempt(|case| {
                case.begin(*kernel, &shape);
                let found = case
                    .backend
                    .product_by(kernel, &operands.of(kernel, problem))?;
                let found = case.backend.values(&found)?;
                case.spots(&found, problem, &operands)?;
                match &first {
                    None => first = Some(found),
                    Some(expected) => {
                        if let Err(difference) = compare::close(&found, expected, n) {
                            let against = kernels[0];
                            case.fail(format!("compared with {against}: {difference}"))?;
                        }
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn operands(&mut self, problem: &Problem, kernels: &[&str]) -> Result<Operands> {
        let [m, n, k] = problem.shape;
        let a = self.bf16_values(m * k, 1.0);
        let b = self.bf16_values(n * k, 1.0 / (k as f32).sqrt());
        let bias = self.random.values(n);
        let other = match problem.combination {
            Some(_) => self.bf16_values(m * n, 1.0),
            None => Vec::new(),
        };
        let cuda = self.backend;
        let transposes = kernels.iter().any(|kernel| OTHER_LAYOUTS.contains(kernel));
        let transposed = transposes.then(|| {
            let a = cuda.tensor(k, m, &transposed(&a, k))?;
            Ok::<_, crate::Error>((a, cuda.matrix(k, n, &transposed(&b, k))?))
        });
        Ok(Operands {
            gpu_a: cuda.tensor(m, k, &a)?,
            gpu_b: cuda.matrix(n, k, &b)?,
            transposed: transposed.transpose()?,
            gpu_bias: cuda.vector(&bias)?,
            gpu_other: match problem.combination {
                Some(_) => Some(cuda.tensor(m, n, &other)?),
                None => None,
            },
            a,
            b,
            bias,
            other,
        })
    }

    /// Single values of a product against f64: around the edges of tiles, and random ones.
    fn spots(&mut self, found: &[f32], problem: &Problem, operands: &Operands) -> Result<()> {
        let [m, n, k] = problem.shape;
        if found.len() != m * n {
            return self.fail(format!("expected {m} × {n} values, found {}", found.len()));
        }
        let edges =
            |size: usize| [0, 127, 128, 191, 192, 255, 256, size - 1].map(|x| x.min(size - 1));
        let (rows, columns) = (edges(m), edges(n));
        for spot in 0..SPOTS {
            let (row, column) = match spot < SPOTS / 2 {
                true => (rows[spot % 8], columns[(spot * 3 + spot / 8) % 8]),
                false => (self.random.below(m), self.random.below(n)),
            };
            let a = operands.a[row * k..][..k].iter().copied();
            let b = operands.b[column * k..][..k].iter().copied();
            let other = problem
                .combination
                .map(|combination| (combination, operands.other[row * n + column]));
            let value = found[row * n + column];
            let bias = operands.bias[column];
            if let Err(difference) =
                compare::exact(value, a.zip(b), bias, problem.activation, other)
            {
                // One is enough: the comparison with another kernel says how many there are.
                return self.fail(format!("row {row}, column {column}: {difference}"));
            }
        }
        Ok(())
    }
}
