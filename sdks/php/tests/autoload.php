<?php

// Loads the source as Composer would.

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'StemSplitter\\')) {
        $path = __DIR__ . '/../src/' . str_replace('\\', '/', substr($class, 13)) . '.php';
        if (is_file($path)) {
            require $path;
        }
    }
});
