// The variant gives the board its name where it has another one.
#ifndef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "Larder device"
#endif
#define MICROPY_HW_MCU_NAME "ESP32"
