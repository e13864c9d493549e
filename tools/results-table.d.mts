export function recipeHash(recipe: string): string;
